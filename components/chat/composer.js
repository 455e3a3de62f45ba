// The text box. It owns its text: nothing that is typed goes anywhere before it is sent. What was sent stays in the
// outbox until the server has stored it. Drafts and outbox are kept in the browser.

const MEASURED = 20_000 // characters up to which the height follows the text; more is a full box anyway
const JUST_MS = 15_000
const SEEN_MS = 400 // after which a message that is not stored yet is shown
const QUEUED = 200 // characters of a waiting message that the page has

let shown = null // what came last, also for a view that is made again; the model has what the page began with

export function render({model, el}) {
  const host = el.getRootNode().host
  shown ||= JSON.parse(model.shown)
  // Browsers write down what a field without autocomplete="off" holds, to bring it back after a restart.
  const box = element("textarea", {"aria-label": "Message", rows: "1", enterkeyhint: "send", autocomplete: "off"})
  const refusal = element("p", {class: "refusal", role: "alert", hidden: ""})
  const send = element("button", {type: "submit", class: "send", "aria-label": "Send", title: "Send (Enter)"}, icon("send"))
  const stop = element("button", {type: "button", class: "stop", "aria-label": "Stop", title: "Stop (Esc)"}, icon("stop"))
  stop.firstChild.classList.add("filled")
  const queue = element("section", {class: "queue", "aria-label": "Queued messages"})
  const outgoing = element("section", {class: "queue", "aria-label": "Messages on their way"})
  const files = attaching({
    model, box, limits: model.esm_constants.limits, chat: () => here, isLost: () => isLost(), changed: () => update(), say: (text) => refuse(text),
  })
  const options = element("button", {type: "button", class: "attach options", onclick: () => model.send_msg({type: "options"})}, icon("sliders"))
  const frame = element("div", {class: "frame"}, files.choose, options, box, stop, send)
  const said = element("p", {class: "unseen", role: "status"})
  const temporary = temporaryMark({keep: () => model.send_msg({type: "keep"})})
  const form = element("form", {class: "form"}, temporary.mark, queue, outgoing, refusal, files.section, frame, said, ...files.extras)
  el.replaceChildren(form)

  // --- drafts and outbox: kept.js -------------------------------------------------------------------------------
  const drafts = makeDrafts()
  let here = shown.conversation || NEW // the chat whose draft is in the text box
  let touched = false // a page in which nothing was typed must not wipe out what another one keeps
  let later = 0
  const keep = () => drafts.keep(here, recall.draft())
  const keepSoon = () => {
    clearTimeout(later)
    const then = here
    later = setTimeout(() => { if (then === here) { keep() } }, box.value.length > MEASURED ? 1000 : 150)
  }
  const leave = () => { if (touched) { keep() } }
  window.addEventListener("pagehide", leave)
  const warn = (event) => { if (isTemporary(here) && (!isNew(here) || box.value.trim())) { event.preventDefault() } }
  window.addEventListener("beforeunload", warn)
  const joined = (before, after) => !before ? after : after.trim() ? `${before}\n\n${after}` : before
  function giveBack(chat, text, given) {
    files.giveBack(chat, given)
    if (chat === here) {
      box.value = joined(text, recall.draft())
      touched = true
      keep()
    } else {
      drafts.keep(chat, joined(text, drafts.get(chat)))
    }
  }
  // A new chat has become a conversation, or its first message was refused and it is as new as before.
  function rename(chat, to) {
    outbox.rehome(chat, to)
    const text = chat === here ? box.value : drafts.get(chat)
    drafts.keep(chat, "")
    if (chat === here) {
      here = to
      temporary.update(here)
      keep()
    } else if (text) {
      giveBack(to, text)
    }
    files.move(chat, to)
  }
  const isLost = () => "panelistLost" in document.documentElement.dataset
  const outbox = makeOutbox({
    transmit: ({key, text, now, chat, files}) => model.send_msg({
      type: "send", key, text, now, files: files ?? [], conversation: addressOf(chat), elsewhere: chat !== here,
    }),
    giveBack,
    isLost,
    onSlow: () => refuse("Panelist has not confirmed your message yet. It is kept, and sent once only."),
  })
  const taken = new Map() // by id: queued messages that were given to this text box

  // --- what else the text box can do: recalling.js, commands.js, previewing.js ----------------------------------
  const say = (text) => { said.textContent = text }
  function write(text) {
    box.value = text
    update()
  }
  // The questions that can be recalled: of the conversation, as far as the page has them whole, waiting ones, unsent ones.
  function questions() {
    const page = {conversation: null, count: 0, texts: []}
    document.dispatchEvent(new CustomEvent("panelist:questions", {detail: page}))
    const unsent = outbox.of(here).filter(({state}) => state !== "refused").map(({text}) => text)
    if (page.conversation !== here || shown.conversation !== here) { return unsent } // the page is not there yet
    const waiting = shown.queue.map(({text}) => text.length < QUEUED ? text : null)
    return [...Array(page.count - page.texts.length).fill(null), ...page.texts, ...waiting, ...unsent]
  }
  const recall = recalling({
    box, questions, isLost, say,
    put(text) {
      commands.dismiss() // the arrow keys go on from here
      write(text)
    },
    ask: (index) => model.send_msg({type: "question", index, conversation: here}),
  })
  const commands = commanding({
    box, frame, isLost, put: write, say,
    commands: () => shown.commands,
    cannot: () => shown.cannot,
    isLeaving: () => leaving > 0,
    refuse: (text) => refuse(text),
    submit: () => submit(),
    act({name, where}, argument) {
      write("")
      touched = true
      keep() // before the page goes elsewhere
      if (name === "/new") { open(null) }
      else if (name === "/temporary") { open(BLANK) }
      else if (where === "page") { document.dispatchEvent(new CustomEvent("panelist:command", {detail: name})) }
      else { model.send_msg({type: "command", name, argument, conversation: isNew(here) ? null : here}) }
    },
  })
  const preview = previewing({box, most: model.esm_constants.most_previewed, isLost, ask: (msg) => model.send_msg(msg)})
  const gauge = gauging({model, box, chat: () => here, files: files.whole, isLost, isWriting: () => shown.writing, post: (now) => submitNow(now)})
  frame.before(preview.panel, gauge.choices)
  form.append(gauge.panel, gauge.line)
  frame.append(commands.panel)
  box.after(preview.toggle)

  // To measure the height the page is laid out twice, while a message is about to leave: never twice for the same.
  let limit = 0
  let looked = ""
  const known = new Map() // of the empty text box: its heights, by what they were measured for
  function measureScreen() {
    limit = Math.min(320, visibleHeight() * 0.4)
    looked = ""
    known.clear()
  }
  measureScreen()
  function fit() {
    const long = box.value.length > MEASURED
    const looks = long ? "" : JSON.stringify([box.value, box.placeholder, stop.hidden, preview.toggle.hidden])
    if (looks && looks === looked) { return }
    // Chromium lays a line of two million characters out in 0.3 s, and in 13 s where it has to find out its direction.
    box.dir = long ? (/^[^\p{L}]*[\p{Script=Hebrew}\p{Script=Arabic}]/u.test(box.value.slice(0, 1000)) ? "rtl" : "ltr") : "auto"
    let height = known.get(looks) ?? (long ? limit : 0)
    let placed = height > 0
    if (!placed) {
      box.style.height = "auto"
      height = box.scrollHeight
      placed = box.clientWidth > 0 // else it has no place on the page yet
      if (placed && !box.value) { known.set(looks, height) }
    }
    box.style.height = `${Math.min(height, limit)}px`
    box.style.overflowY = long || height > limit ? "auto" : "hidden"
    looked = placed ? looks : ""
  }
  function update() {
    const writing = shown.writing
    stop.hidden = !writing
    const blocked = files.blocked()
    send.title = blocked || (writing ? "Send after this answer (Enter), or stop it and send now (Ctrl + Enter)" : "Send (Enter)")
    send.disabled = Boolean(blocked) || !(box.value.trim() || files.any())
    if (box.placeholder !== shown.placeholder) { box.placeholder = shown.placeholder }
    const label = shown.options ? `Options: ${shown.options}` : "Options"
    if (options.title !== label) {
      options.title = label
      options.setAttribute("aria-label", label)
      options.classList.toggle("set", Boolean(shown.options))
    }
    preview.update() // its button takes width from the text
    fit()
    commands.update()
    gauge.update()
  }
  function showMessages(section, heading, messages) {
    const had = section.contains(el.getRootNode().activeElement)
    section.hidden = !messages.length
    const items = messages.map(({text, acts}) => element("li", {},
      element("span", {dir: "auto"}, text),
      ...acts.map(([label, name, onclick]) => element("button", {type: "button", title: label, "aria-label": label, onclick}, icon(name))),
    ))
    section.replaceChildren(element("p", {}, heading), element("ul", {}, ...items))
    if (had) { box.focus() }
  }
  function showQueue() {
    const act = (label, path, type, id) => [label, path, () => model.send_msg({type, id})]
    showMessages(queue, shown.held || "Sent when the answer ends:", shown.queue.map(({id, text, files: names}) => ({
      text: text || names,
      acts: [
        act("Send now", "send", "send_now", id),
        act("Edit queued message", "edit", "edit", id),
        act("Remove queued message", "close", "unqueue", id),
      ],
    })))
  }
  function showOutbox() {
    const unsent = outbox.of(here).filter(({at, state}) => state !== "refused" && Date.now() - at >= SEEN_MS)
    const held = unsent.some(({state}) => state === "held")
    const heading = held ? "Not sent yet, because the message before was refused:" : isLost() ? "Sent when the connection is back:" : "Sending…"
    const act = (work) => () => {
      work()
      update()
      showOutbox()
      box.focus()
    }
    showMessages(outgoing, heading, unsent.map((message) => ({
      text: message.text.slice(0, 200) || (message.files ?? []).map(({name}) => name).join(", "),
      acts: message.gone ? [] : [
        ...(held ? [["Send unsent messages", "send", act(() => outbox.release(here))]] : []),
        ["Edit unsent message", "edit", act(() => editUnsent(message))],
      ],
    })))
  }
  function editUnsent(message) {
    const before = outbox.refusedIn(here)?.text
    outbox.drop(message.key)
    if (before && box.value.startsWith(before)) { // which was sent earlier
      const rest = box.value.slice(before.length).trim()
      box.value = ""
      giveBack(here, [before, message.text, rest].filter(Boolean).join("\n\n"), message.files)
    } else {
      giveBack(here, message.text, message.files)
    }
  }
  let note = "" // said by this page; what the server said stands with the message it refused
  function refuse(text) {
    note = text
    showRefusal()
  }
  function showRefusal() {
    const said = note || outbox.refusedIn(here)?.why || ""
    if (refusal.textContent !== said) { refusal.textContent = said }
    refusal.hidden = !said
  }

  function submit(now = false) {
    if (commands.run() || (send.disabled ? false : gauge.holds(now))) { return }
    submitNow(now)
  }
  function submitNow(now) {
    if (!post(box.value, now)) { return }
    box.value = ""
    touched = true
    keep()
    gauge.sent()
    update()
  }
  function post(text, now = false) {
    if (!text.trim() && !files.any()) { return false }
    if (files.hold()) { return false }
    if (text.length > model.esm_constants.most) {
      const count = (number) => number.toLocaleString("en")
      refuse(`The message has ${count(text.length)} characters, and ${count(model.esm_constants.most)} is the most. Send it in parts.`)
      return false
    }
    if (isLost()) {
      refuse("The connection is lost. Your message is kept here; send it when the connection is back.")
      return false
    }
    if (here === blankOf(here)) { rename(here, `${here}:${randomKey()}`) } // what is sent behind it belongs to the same chat
    outbox.add(here, text, now, files.take())
    refuse("")
    setTimeout(showOutbox, SEEN_MS + 20)
    return true
  }
  function stored({key, conversation}) {
    const message = outbox.drop(key)
    if (message && isNew(message.chat)) {
      // A reload in this moment would come back to an empty page: its address does not name the conversation yet.
      if (message.chat === here && !isTemporary(here)) { put(OWN, "panelist.begun", JSON.stringify({id: conversation, at: Date.now()})) }
      rename(message.chat, conversation)
    }
    outbox.pump()
    refuse("")
    showOutbox()
  }
  function refusedBy({key, text, gone}) {
    const message = outbox.find(key)
    if (!message) { return }
    if (gone) { // its conversation was deleted: the text is for wherever one is now, as another request
      outbox.drop(key)
      if (isTemporary(message.chat) && message.chat !== here) { // which was left: nothing of it goes anywhere else
        outbox.pump()
        refuse(text)
        return
      }
      if (message.chat === here) { moveTo(blankOf(here)) } // as the server is about to: what is said here stays
      box.value = box.value.trim() ? joined(box.value, message.text) : message.text
      files.giveBack(here, message.files)
      touched = true
      keep()
      outbox.pump()
      refuse(text)
    } else {
      if (isNew(message.chat)) { rename(message.chat, blankOf(message.chat)) }
      outbox.refuse(key, text)
      showRefusal()
    }
    showOutbox()
  }
  const lostLine = () => {
    outbox.lost()
    showOutbox()
    preview.lost()
    gauge.lost()
  }
  const foundLine = () => {
    refuse("")
    outbox.pump()
    showOutbox()
    preview.found()
    gauge.found()
  }
  document.addEventListener("panelist:lost", lostLine)
  document.addEventListener("panelist:found", foundLine)

  box.addEventListener("input", () => {
    touched = true
    const refused = outbox.refusedIn(here)
    if (refused && !box.value.includes(refused.text)) { outbox.drop(refused.key) } // given up, or to be another request
    refuse("")
    keepSoon()
    update()
  })
  box.addEventListener("keydown", (event) => {
    if (isComposing(event)) { return }
    if (commands.key(event) || recall.key(event)) {
      event.preventDefault()
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault()
      submit(event.ctrlKey || event.metaKey)
    }
  })
  form.addEventListener("submit", (event) => { event.preventDefault(); submit() })
  stop.addEventListener("click", () => { model.send_msg({type: "stop"}); box.focus() })
  frame.addEventListener("click", (event) => { if (event.target === frame) { box.focus() } })

  // The draft belongs to the chat that the text was typed in.
  let leaving = 0 // times for another chat; until the server has come along, the page is ahead of it
  const focusBox = () => { if (matchMedia("(hover: hover)").matches) { box.focus() } } // a phone would show its keyboard
  function moveTo(chat) {
    if (here === chat || (isNew(here) && chat === blankOf(here) && !leaving)) { return }
    clearTimeout(later)
    leave()
    here = chat
    recall.end()
    box.value = drafts.get(here)
    touched = false
    refuse("")
    files.show()
    temporary.update(here)
    update()
    showOutbox()
    focusBox()
  }
  const follow = () => { if (!leaving) { moveTo(shown.conversation || NEW) } }
  // At once, so that what is typed and sent behind it belongs there, however slow the line.
  function open(id, at, folder) {
    leaving += 1
    moveTo(id || NEW)
    focusBox() // also where it was there already
    if (isLost()) { // the page may come back by a reload
      const url = new URL(location.href)
      if (id && !isTemporary(id)) { url.searchParams.set("c", id) } else { url.searchParams.delete("c") }
      history.pushState({}, "", url)
    }
    model.send_msg({type: "open", id, ...(at && {at}), ...(folder && {folder})})
  }
  const onOpen = ({detail: {id, at, folder}}) => open(id, at, folder)
  document.addEventListener("panelist:open", onOpen)
  function show(changed) {
    Object.assign(shown, changed)
    if ("conversation" in changed) { follow() }
    if ("queue" in changed || "held" in changed) { showQueue() }
    update()
  }
  // A link keeps what it gets, were it a page that says what is wrong: so the answer's beginning is looked at before.
  async function download(address) {
    const looking = new AbortController()
    let failed = "The file could not be made. Try again when the connection is back."
    try {
      const answer = await fetch(address, {signal: looking.signal})
      const told = (answer.headers.get("Content-Type") || "").startsWith("text/plain") // else it is a page of the server's
      if (!answer.ok && told) { failed = await answer.text() } else if (answer.ok) { failed = "" }
    } catch { /* it is said that it failed */ }
    looking.abort()
    if (failed) {
      model.send_msg({type: "not_downloaded", why: failed})
    } else {
      element("a", {href: address, download: ""}).click()
    }
  }
  // Whether nothing else has the keyboard.
  function idle() {
    const active = innermost(document.activeElement)
    return !active || active === document.body || el.contains(active)
  }
  listen(model, (msg) => {
    if (files.heard(msg) || gauge.heard(msg)) { return }
    if (msg.type === "shown") {
      show(msg.set)
      return
    } else if (msg.type === "question") {
      if (msg.conversation === here) { recall.told(msg) }
      return
    } else if (msg.type === "preview") {
      preview.told(msg)
      return
    } else if (msg.type === "download") {
      download(msg.address)
      return
    } else if (msg.type === "stored") {
      stored(msg)
    } else if (msg.type === "refused") {
      refusedBy(msg)
    } else if (msg.type === "opened") {
      leaving -= 1
      follow()
    } else if (msg.type === "fill") {
      giveBack(here, msg.text, msg.files) // a draft is never written over
      if (msg.taken) {
        taken.set(msg.taken, msg)
        model.send_msg({type: "taken", id: msg.taken}) // only now: it is never nowhere
      }
    } else if (msg.type === "kept") { // it is stored from now on, and so is its draft
      rename(msg.from, msg.to)
    } else if (msg.type === "left") { // it was deleted in another tab; its draft goes with the person
      const text = drafts.get(msg.id)
      drafts.keep(msg.id, "")
      if (text) { giveBack(here, text) }
      files.move(msg.id, here)
    } else if (msg.type === "gone") { // it was sent meanwhile, or another tab was first
      const {text, files: given} = taken.get(msg.id) ?? {}
      files.takeBack(here, given)
      if (box.value === text || box.value.startsWith(`${text}\n\n`)) {
        box.value = box.value.slice(text.length).replace(/^\n\n/, "")
        keep()
      }
    }
    update()
    if (["fill", "focus"].includes(msg.type) || idle()) { box.focus() }
  })
  const keys = (event) => {
    const typing = event.composedPath()[0]
    const inField = typing instanceof HTMLElement && (typing.matches("input, textarea, select") || typing.isContentEditable)
    if (event.key === "Escape" && shown.writing && !event.defaultPrevented && !isComposing(event)) {
      model.send_msg({type: "stop"})
    } else if (event.key === "/" && !inField && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      box.focus()
    } else if (preview.key(event)) {
      event.preventDefault()
    } else if (event.key === "?" && !inField) {
      model.send_msg({type: "help"})
    } else if (event.key.toLowerCase() === "o" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      open(null)
    } else if (event.key.toLowerCase() === "l" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      open(BLANK)
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
      event.preventDefault()
      // A closed sidebar hears nothing, or is not there at all: then it looks at this when it comes.
      if (document.dispatchEvent(new Event("panelist:search", {cancelable: true}))) {
        document.documentElement.dataset.panelistSearch = ""
        model.send_msg({type: "search"})
      }
    }
  }
  document.addEventListener("keydown", keys)
  const leaveScreen = aboveKeyboard(() => { measureScreen(); update() })
  let width = 0
  const wider = new ResizeObserver(([{contentRect}]) => {
    if (contentRect.width !== width) {
      width = contentRect.width
      measureScreen()
      fit()
    }
  })
  wider.observe(frame)
  model.on("remove", () => {
    leaveScreen()
    wider.disconnect()
    preview.leave()
    gauge.leave()
    document.removeEventListener("keydown", keys)
    window.removeEventListener("pagehide", leave)
    window.removeEventListener("beforeunload", warn)
    document.removeEventListener("panelist:open", onOpen)
    document.removeEventListener("panelist:lost", lostLine)
    document.removeEventListener("panelist:found", foundLine)
  })

  const theme = () => {
    host.dataset.theme = model.dark ? "dark" : "light"
    preview.theme(model.dark)
  }
  model.on("dark", theme)
  theme()
  box.value = drafts.get(here)
  const first = window.panelistFirst
  function begin() {
    outbox.recall().then(() => {
      const begun = here === NEW && outbox.last()
      if (begun && isNew(begun.chat)) { // a chat whose first message was on its way when the page went
        box.value = joined(drafts.get(begun.chat), box.value)
        here = begun.chat
        keep()
      }
      files.show()
      update()
      showRefusal()
      showOutbox()
      outbox.pump()
      const fresh = JSON.parse(read(OWN, "panelist.begun") || "null")
      const [visit] = performance.getEntriesByType("navigation")
      if (here === NEW && fresh && visit?.type === "reload" && Date.now() - fresh.at < JUST_MS) { open(fresh.id) }
      put(OWN, "panelist.begun", "")
    })
  }
  showQueue()
  files.show()
  temporary.update(here)
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
  requestAnimationFrame(() => { fit(); if (!first) { focusBox() } })
  if (first) { // what was typed, or sent, before this page was live
    first.meet({composer({text, start, end, focused, sent}) {
      touched = text !== box.value
      box.value = text
      leave()
      begin()
      // A command is for whoever sees what it is done to.
      if (sent !== null && (commands.isCommand(sent) || !post(sent))) { giveBack(here, sent) }
      update()
      if (focused) {
        box.focus()
        if (box.value === text) { box.setSelectionRange(start, end) }
      }
    }})
  } else {
    begin()
  }
}
