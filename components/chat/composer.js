// The text box. It owns its text: nothing that is typed goes anywhere before it is sent. What was sent stays in the
// outbox until the server has stored it. Drafts and outbox are kept in the browser.

const SEND = "M12 19V6M6 11l6-6 6 6"
const EDIT = "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4"
const REMOVE = "M6 6l12 12M18 6L6 18"
const STOP = "M7 7h10v10H7z"
const MOST_KEPT = 200_000 // characters of a draft that are kept for all visits; a longer one only for this tab's
const MEASURED = 20_000 // characters up to which the height follows the text; more is a full box anyway
const SEEN_MS = 400 // after which a message that is not stored yet is shown
const PATIENCE_MS = 15_000 // after which that is said in words
const LEFT_MS = 60_000 // after which the outbox of a tab that does not come back is another one's
const STALE_MS = 300_000 // after which a message is not sent by itself any more

function icon(path, fill) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 24 24")
  svg.setAttribute("aria-hidden", "true")
  if (fill) { svg.classList.add("filled") }
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path")
  line.setAttribute("d", path)
  svg.append(line)
  return svg
}

export function render({model, el}) {
  const host = el.getRootNode().host
  const form = document.createElement("form")
  form.className = "form"
  const box = document.createElement("textarea")
  box.setAttribute("aria-label", "Message")
  box.rows = 1
  box.enterKeyHint = "send"
  const refusal = document.createElement("p")
  refusal.className = "refusal"
  refusal.setAttribute("role", "alert")
  refusal.hidden = true
  const send = document.createElement("button")
  send.type = "submit"
  send.className = "send"
  send.setAttribute("aria-label", "Send")
  send.title = "Send (Enter)"
  send.append(icon(SEND))
  const stop = document.createElement("button")
  stop.type = "button"
  stop.className = "stop"
  stop.setAttribute("aria-label", "Stop")
  stop.title = "Stop (Esc)"
  stop.append(icon(STOP, true))
  const queue = document.createElement("section")
  queue.className = "queue"
  queue.setAttribute("aria-label", "Queued messages")
  const outgoing = document.createElement("section")
  outgoing.className = "queue"
  outgoing.setAttribute("aria-label", "Messages on their way")
  const frame = document.createElement("div")
  frame.className = "frame"
  frame.append(box, stop, send)
  form.append(queue, outgoing, refusal, frame)
  el.replaceChildren(form)

  // --- drafts: the text box's text, by conversation ---------------------------------------------------------------
  // This tab's own comes first; the one in `localStorage` is that of the tab which wrote last, for the next visit.
  const draftOf = (conversation) => `panelist.draft.${conversation || "new"}`
  const drafts = new Map() // storage may be full or forbidden; then they live as long as the page
  const shared = new Map() // what this page has read from, or written to, the place for all tabs
  function keepAt(conversation, text) {
    const name = draftOf(conversation)
    drafts.set(name, text)
    try {
      if (text) { sessionStorage.setItem(name, text) } else { sessionStorage.removeItem(name) }
    } catch { /* too long, or forbidden */ }
    try {
      if (text && text.length <= MOST_KEPT) {
        localStorage.setItem(name, text)
        shared.set(name, text)
      } else if (localStorage.getItem(name) === (shared.get(name) ?? "")) { // another tab's stays
        localStorage.removeItem(name)
      }
    } catch { /* as above */ }
  }
  function keptAt(conversation) {
    const name = draftOf(conversation)
    try {
      const own = drafts.get(name) || sessionStorage.getItem(name)
      if (own) {
        if (!shared.has(name)) { shared.set(name, own) }
        return own
      }
      const text = localStorage.getItem(name) || ""
      shared.set(name, text)
      return text
    } catch { return drafts.get(name) || "" }
  }
  let here = model.conversation // whose draft is in the text box
  let touched = false // a page in which nothing was typed must not wipe out what another one keeps
  let later = 0
  const keep = () => keepAt(here, box.value)
  const keepSoon = () => {
    clearTimeout(later)
    const then = here
    later = setTimeout(() => { if (then === here) { keep() } }, box.value.length > MEASURED ? 1000 : 150)
  }
  const leave = () => { if (touched) { keep() } }
  window.addEventListener("pagehide", leave)
  const joined = (before, after) => after.trim() ? `${before}\n\n${after}` : before
  function giveBack(conversation, text) {
    if (conversation === here) {
      box.value = joined(text, box.value)
      touched = true
      keep()
    } else {
      keepAt(conversation, joined(text, keptAt(conversation)))
    }
  }

  // --- outbox: what was sent, in this order, until the server has stored it ---------------------------------------
  // One message at a time is on its way. The key of a message makes it the same request however often it is sent:
  // after a lost word, a reload, a refusal.
  const outbox = [] // {key, text, now, conversation, at, tab}
  const refused = new Map() // by conversation: the last one that was refused
  let onItsWay = null // the key of one
  const held = new Set() // conversations in which one was refused: those behind it wait for a person
  const taken = new Map() // by id: queued messages that were given to this text box
  const random = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
  let tab = random()
  try {
    tab = sessionStorage.getItem("panelist.tab") || tab
    sessionStorage.setItem("panelist.tab", tab)
  } catch { /* then it is another one after a reload */ }
  const OUT = "panelist.out."
  function remember(message) {
    for (const storage of [localStorage, sessionStorage]) {
      try { return storage.setItem(OUT + message.key, JSON.stringify(message)) } catch { /* too long, or forbidden */ }
    }
  }
  function forget(key) {
    try {
      localStorage.removeItem(OUT + key)
      sessionStorage.removeItem(OUT + key)
    } catch { /* it was never there */ }
  }
  function recallOutbox() {
    const found = []
    try {
      for (const storage of [localStorage, sessionStorage]) {
        for (const name of Object.keys(storage).filter((name) => name.startsWith(OUT))) { found.push(JSON.parse(storage.getItem(name))) }
      }
    } catch { /* nothing can be kept here */ }
    for (const message of found.sort((one, other) => one.at - other.at)) {
      const age = Date.now() - message.at
      if (message.tab !== tab && age < LEFT_MS) { continue }
      if (message.refused) {
        refused.set(message.conversation, message)
        held.add(message.conversation)
      } else if (age > STALE_MS) {
        turnedDown(message)
      } else {
        outbox.push({...message, tab})
      }
    }
  }
  function turnedDown(message) {
    giveBack(message.conversation, message.text)
    refused.set(message.conversation, message)
    remember({...message, refused: true})
  }
  const isLost = () => "panelistLost" in document.documentElement.dataset
  function pump() {
    const next = outbox.find(({conversation}) => !held.has(conversation))
    if (onItsWay !== null || !next || isLost()) { return }
    const {key, text, now, conversation} = next
    onItsWay = key
    model.send_msg({type: "send", key, text, now, conversation})
    setTimeout(() => {
      if (onItsWay === key && !isLost()) { refuse("Panelist has not confirmed your message yet. It is kept, and sent once only.") }
    }, PATIENCE_MS)
  }

  function fit() {
    const limit = Math.min(320, window.innerHeight * 0.4)
    const long = box.value.length > MEASURED
    // Chromium lays a line of two million characters out in 0.3 s, and in 13 s where it has to find out its direction.
    box.dir = long ? (/^[^\p{L}]*[\p{Script=Hebrew}\p{Script=Arabic}]/u.test(box.value.slice(0, 1000)) ? "rtl" : "ltr") : "auto"
    if (!long) { box.style.height = "auto" }
    const height = long ? limit : box.scrollHeight
    box.style.height = `${Math.min(height, limit)}px`
    box.style.overflowY = long || height > limit ? "auto" : "hidden"
  }
  function update() {
    const writing = model.writing
    stop.hidden = !writing
    send.title = writing ? "Send after this answer (Enter), or stop it and send now (Ctrl + Enter)" : "Send (Enter)"
    send.disabled = !box.value.trim()
    box.placeholder = model.placeholder
    fit()
  }
  function showMessages(section, heading, messages) {
    const had = section.contains(el.getRootNode().activeElement)
    section.hidden = !messages.length
    const title = document.createElement("p")
    title.textContent = heading
    const list = document.createElement("ul")
    for (const {text, acts} of messages) {
      const item = document.createElement("li")
      const words = document.createElement("span")
      words.textContent = text
      words.dir = "auto"
      item.append(words)
      for (const [label, path, act] of acts) {
        const button = document.createElement("button")
        button.type = "button"
        button.title = label
        button.setAttribute("aria-label", label)
        button.append(icon(path))
        button.addEventListener("click", act)
        item.append(button)
      }
      list.append(item)
    }
    section.replaceChildren(title, list)
    if (had) { box.focus() }
  }
  function showQueue() {
    const act = (label, path, type, id) => [label, path, () => model.send_msg({type, id})]
    showMessages(queue, model.held ? "Not sent, because the last answer did not finish:" : "Sent when the answer ends:", model.queue.map(({id, text}) => ({
      text,
      acts: [
        act("Send now", SEND, "send_now", id),
        act("Edit queued message", EDIT, "edit", id),
        act("Remove queued message", REMOVE, "unqueue", id),
      ],
    })))
  }
  function showOutbox() {
    const shown = outbox.filter((message) => message.conversation === here && Date.now() - message.at >= SEEN_MS)
    const heading = held.has(here) ? "Not sent yet, because the message before was refused:" : isLost() ? "Sent when the connection is back:" : "Sending…"
    showMessages(outgoing, heading, shown.map((message) => ({
      text: message.text.slice(0, 200),
      acts: message.key === onItsWay ? [] : [["Edit unsent message", EDIT, () => {
        drop(message.key)
        giveBack(message.conversation, message.text)
        update()
        showOutbox()
        box.focus()
      }]],
    })))
  }
  function refuse(text) {
    refusal.textContent = text
    refusal.hidden = !text
  }

  function submit(now = false) {
    if (!post(box.value, now)) { return }
    box.value = ""
    touched = true
    keep()
    update()
  }
  function post(text, now = false) {
    if (!text.trim()) { return false }
    if (text.length > model.limit) {
      const count = (number) => number.toLocaleString("en")
      refuse(`The message has ${count(text.length)} characters, and ${count(model.limit)} is the most. Send it in parts.`)
      return false
    }
    if (isLost()) {
      refuse("The connection is lost. Your message is kept here; send it when the connection is back.")
      return false
    }
    refuse("")
    const again = refused.get(here)
    const same = again?.text === text
    if (again && !same) { forget(again.key) }
    refused.delete(here)
    held.delete(here)
    const message = {key: same ? again.key : random(), text, now, conversation: here, at: Date.now(), tab}
    if (same) { outbox.unshift(message) } else { outbox.push(message) }
    remember(message)
    setTimeout(showOutbox, SEEN_MS + 20)
    pump()
    return true
  }
  function drop(key) {
    const at = outbox.findIndex((message) => message.key === key)
    if (key === onItsWay) { onItsWay = null }
    forget(key)
    return at < 0 ? undefined : outbox.splice(at, 1)[0]
  }
  function stored({key, conversation}) {
    const message = drop(key)
    if (message && message.conversation === null) {
      for (const next of outbox) { // those behind it were meant for the conversation that it began
        if (next.conversation === null) {
          next.conversation = conversation
          remember(next)
        }
      }
      if (conversation === here) { // typed without a pause: it is one text
        box.value = keptAt(null) + box.value
        touched = true
        keepAt(null, "")
        keep()
      }
    }
    if (message) { refuse("") }
    pump()
    showOutbox()
  }
  function refusedBy({key, text}) {
    const message = drop(key)
    if (!message) { return }
    turnedDown(message)
    held.add(message.conversation)
    refuse(text)
    pump()
    showOutbox()
  }
  // The line may have swallowed the message or the word that it is stored: it is sent again when the line is back.
  const lostLine = () => {
    onItsWay = null
    showOutbox()
  }
  const foundLine = () => {
    refuse("")
    pump()
    showOutbox()
  }
  document.addEventListener("panelist:lost", lostLine)
  document.addEventListener("panelist:found", foundLine)

  box.addEventListener("input", () => { touched = true; refuse(""); keepSoon(); update() })
  box.addEventListener("keydown", (event) => {
    // keyCode 229: Safari ends a composition before the key event that ended it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault()
      submit(event.ctrlKey || event.metaKey)
    }
  })
  form.addEventListener("submit", (event) => { event.preventDefault(); submit() })
  stop.addEventListener("click", () => { model.send_msg({type: "stop"}); box.focus() })
  frame.addEventListener("click", (event) => { if (event.target === frame) { box.focus() } })

  // The draft belongs to the conversation that the text was typed in.
  let leaving = false // for a new chat; until the server has come along, the page is ahead of it
  function moveTo(conversation) {
    if (here === conversation) { return }
    clearTimeout(later)
    leave()
    here = conversation
    box.value = keptAt(here)
    touched = false
    refuse("")
    update()
    showOutbox()
    if (matchMedia("(hover: hover)").matches) { box.focus() }
  }
  model.on("conversation", () => { if (!leaving) { moveTo(model.conversation) } })
  model.on(["writing", "placeholder"], update)
  // Whether nothing else has the keyboard.
  function idle() {
    let active = document.activeElement
    while (active?.shadowRoot?.activeElement) { active = active.shadowRoot.activeElement }
    return !active || active === document.body || el.contains(active)
  }
  model.on("msg:custom", (msg) => {
    if (msg.type === "stored") {
      stored(msg)
    } else if (msg.type === "refused") {
      refusedBy(msg)
    } else if (msg.type === "new") {
      leaving = false
      moveTo(model.conversation)
    } else if (msg.type === "fill") {
      giveBack(here, msg.text) // a draft is never written over
      if (msg.taken) {
        taken.set(msg.taken, msg.text)
        model.send_msg({type: "taken", id: msg.taken}) // only now: it is never nowhere
      }
    } else if (msg.type === "gone") { // it was sent meanwhile, or another tab was first
      const text = taken.get(msg.id)
      if (box.value === text || box.value.startsWith(`${text}\n\n`)) {
        box.value = box.value.slice(text.length).replace(/^\n\n/, "")
        keep()
      }
    }
    update()
    if (["fill", "focus"].includes(msg.type) || idle()) { box.focus() }
  })
  model.on(["queue", "held"], showQueue)

  const keys = (event) => {
    const typing = event.composedPath()[0]
    const inField = typing instanceof HTMLElement && (typing.matches("input, textarea, select") || typing.isContentEditable)
    if (event.key === "Escape" && model.writing && !event.defaultPrevented && !event.isComposing && event.keyCode !== 229) {
      model.send_msg({type: "stop"})
    } else if (event.key === "/" && !inField && !event.ctrlKey && !event.metaKey) {
      event.preventDefault()
      box.focus()
    } else if (event.key === "?" && !inField) {
      model.send_msg({type: "help"})
    } else if (event.key.toLowerCase() === "o" && event.shiftKey && (event.ctrlKey || event.metaKey)) {
      event.preventDefault()
      leaving = true
      moveTo(null)
      box.focus()
      model.send_msg({type: "new"})
    }
  }
  document.addEventListener("keydown", keys)
  model.on("remove", () => {
    document.removeEventListener("keydown", keys)
    window.removeEventListener("pagehide", leave)
    document.removeEventListener("panelist:lost", lostLine)
    document.removeEventListener("panelist:found", foundLine)
  })

  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  box.value = keptAt(here)
  const first = window.panelistFirst
  function begin() {
    recallOutbox()
    update()
    showOutbox()
    setTimeout(pump)
  }
  showQueue()
  requestAnimationFrame(() => { fit(); if (!first && matchMedia("(hover: hover)").matches) { box.focus() } })
  if (first) { // what was typed, or sent, before this page was live
    first.meet({composer({text, start, end, focused, sent}) {
      touched = text !== box.value
      box.value = text
      leave()
      begin()
      if (sent !== null && !post(sent)) { giveBack(here, sent) }
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
