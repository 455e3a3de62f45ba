// The conversation as data: settled messages are HTML made on the server, the reply being written is painted in place.
// Nothing in here builds HTML from text; whatever is not rendered on the server goes through textContent.

let began = false // a view that is made again is told everything

export function render({model, el, view}) {
  const opening = began ? "" : model.opening
  began = true
  const host = el.getRootNode().host
  const articles = new Map() // id -> {node, view, tail, tailHtml}
  const copies = new Map() // id -> {text, resolve}
  let timers = []

  const older = element("button", {type: "button", class: "older", hidden: "", onclick: () => model.send_msg({type: "older"})}, "Show earlier messages")
  const list = element("div", {class: "messages"})
  const empty = element("section", {class: "empty", hidden: ""})
  const room = element("div", {class: "room"})
  const column = element("div", {class: "column"}, empty, older, list, room)
  const log = element("div", {class: "log", role: "log", "aria-label": "Conversation", "aria-live": "off", tabindex: "0"}, column)
  const jump = element("button", {type: "button", class: "jump", hidden: "", "aria-label": "Jump to latest", title: "Jump to latest", onclick: () => scroll.follow(true)}, icon("down"))
  const activity = element("div", {class: "activity", role: "status", "aria-label": "Activity"})
  const banner = element("div", {class: "trouble", role: "alert", hidden: ""})
  const said = element("div", {class: "unseen", role: "status", "aria-label": "Announcements"})
  const notices = element("div", {class: "notices", role: "status", "aria-label": "Notices"})
  const below = element("div", {class: "below"}, activity)
  const voice = announcing(said)
  const frame = element("div", {class: "frame"}, banner, log, jump, below, notices, said)
  el.replaceChildren(frame)

  let unasked = [] // what is asked for before the server knows that this page is there
  const scroll = scrolling({log, list, older, room, jump, ask: (msg) => unasked ? unasked.push(msg) : model.send_msg(msg)})
  const contents = outline({frame, log, list, ask: (msg) => model.send_msg(msg), show: (node) => scroll.show(node)})
  const pin = button("Keep the question at the top", "pin", () => {
    scroll.choose(!scroll.pinning)
    pin.setAttribute("aria-pressed", scroll.pinning)
  }, {"aria-pressed": String(scroll.pinning), title: "Keep the question at the top while its answer is written"})
  const map = button("Map", "map", () => model.send_msg({type: "map"}), {hidden: "", title: "Map of the conversation (Alt + M)"})
  const share = button("Share…", "share", () => model.send_msg({type: "share"}))
  below.append(share, pin, map, contents.open)

  const edits = editing({
    frame, isLost: () => lost, isTemporary: () => isTemporary(shown), source: markdown, send: (msg) => model.send_msg(msg),
    notice: (text) => handlers.notice({text, kind: "error"}),
  })

  // --- one message -------------------------------------------------------------------------------------------------
  function step(view, alert) {
    const label = alert.label
    const act = element("button", {type: "button", class: "step", onclick: () => model.send_msg({type: "step", id: view.id, step: alert.step, parameter: alert.parameter})}, label)
    let left = Math.ceil(alert.wait_s || 0)
    if (left > 0) {
      const tick = () => {
        act.disabled = left > 0
        act.textContent = left > 0 ? `${label} in ${left} s` : label
        left -= 1
        if (left < 0) { clearInterval(timer); timers = timers.filter((t) => t !== timer) }
      }
      const timer = setInterval(tick, 1000)
      timers.push(timer)
      tick()
    }
    return act
  }

  function markdown(id) {
    if (!copies.has(id)) {
      const copy = {}
      copy.text = new Promise((resolve, reject) => {
        copy.resolve = resolve
        setTimeout(() => { copies.delete(id); reject() }, 5000)
      })
      copies.set(id, copy)
      model.send_msg({type: "copy", id})
    }
    return copies.get(id).text
  }
  async function copyAs(control, plain, html) {
    const label = control.title
    try {
      await writeClipboard(plain, html)
      flash(control, label, "Copied")
      return true
    } catch {
      flash(control, label, "Could not copy")
      return false
    }
  }
  function copyButtons({id, role}, entry) {
    const {body} = entry
    const copy = button("Copy", "copy", () => entry.copy())
    entry.copy = () => {
      const text = markdown(id)
      return copyAs(copy, text, role === "user" ? text.then(htmlOfText) : htmlOf(body))
    }
    return role === "user" ? [copy] : [copy, menuButton(frame, "Copy as…", "more", () => [
      ["Plain text", (control) => copyAs(control, textOf(body))],
      ["HTML", (control) => copyAs(control, htmlOf(body))],
      ["Markdown", (control) => copyAs(control, markdown(id))],
      ...body.querySelector("math") ? [["LaTeX", (control) => copyAs(control, formulasOf(body))]] : [],
    ])]
  }

  function actions(view, entry) {
    const bar = element("div", {class: "actions"})
    if (view.versions) {
      const {index, count, previous, next} = view.versions
      const go = (id) => () => model.send_msg({type: "version", id})
      bar.append(
        button("Previous version", "previous", go(previous), {disabled: previous ? false : ""}),
        element("span", {class: "count"}, `${index + 1} / ${count}`),
        button("Next version", "next", go(next), {disabled: next ? false : ""}),
        button("Compare versions", "compare", () => model.send_msg({type: "compare", id: view.id})),
      )
    }
    if (view.can.includes("copy")) { bar.append(...copyButtons(view, entry)) }
    if (view.can.includes("edit")) {
      edits.resume(entry)
      bar.append(button("Edit", "edit", () => edits.open(entry), {class: "icon-button edit"}))
    }
    if (view.can.includes("answer")) { bar.append(button("Answer this question", "again", () => model.send_msg({type: "retry", id: view.id}), {class: "icon-button answer"})) }
    if (view.can.includes("continue")) { bar.append(button("Continue", "on", () => model.send_msg({type: "continue", id: view.id}))) }
    if (view.can.includes("regenerate")) { bar.append(button("Regenerate", "again", () => model.send_msg({type: "retry", id: view.id}))) }
    if (view.can.includes("retry")) { bar.append(button("Retry", "again", () => model.send_msg({type: "retry", id: view.id}))) }
    if (view.role === "assistant" && !view.beside) {
      const other = menuButton(frame, "Answer with…", "swap", () => [
        ...models.map((label) => [label, () => model.send_msg({type: "retry", id: view.id, model: label})]),
        ["Other options…", () => model.send_msg({type: "options", id: view.id})],
      ])
      bar.append(other)
    }
    if (view.role === "assistant") { bar.append(button("Details", "info", () => model.send_msg({type: "details", id: view.id}))) }
    if (view.likely) {
      const pressed = String(Boolean(entry.likely))
      entry.asking = button("Word probabilities", "chart", () => {
        if (entry.likely) { showLikely(entry, null) } else { model.send_msg({type: "likely", id: view.id}) }
      }, {"aria-pressed": pressed})
      bar.append(entry.asking)
    }
    if (view.can.includes("fork")) { bar.append(button("Fork from here", "fork", () => model.send_msg({type: "fork", id: view.id}))) }
    if (view.model) { bar.append(element("span", {class: "model"}, view.options ? `${view.model} · ${view.options}` : view.model)) }
    return bar
  }

  function showLikely(entry, found) {
    entry.likely?.remove()
    entry.likely = found && likelyView(found)
    if (found) {
      entry.foot.before(entry.likely)
      entry.node.style.contentVisibility = "visible" // a message clips what is outside of it
    }
    entry.asking?.setAttribute("aria-pressed", String(Boolean(found)))
  }

  function fill(entry, view) {
    const {node} = entry
    if (entry.likely && view.status === "streaming") { showLikely(entry, null) }
    const was = entry.view?.status
    entry.view = view
    node.className = `message ${view.role}${view.beside ? " beside" : ""}`
    node.dataset.status = view.status
    if (view.beside) { besideOf(entry, view, (msg) => model.send_msg(msg)) } else if (entry.beside) { alone(entry, node.getAttribute("aria-label")) }
    // What is written on this page is not folded under its reader.
    if (view.status === "streaming") { entry.body.dataset.streamed = "" }
    // `html` is absent when what is on the page is already right, as after the last paint of a reply:
    // a selection in it then survives its end.
    if (view.html !== undefined && view.html !== entry.html) {
      entry.body.innerHTML = entry.html = view.html
      entry.tail = null
      entry.tailHtml = ""
      entry.blocks = []
      entry.parsed = document.createDocumentFragment()
      drawing.look(entry.body)
    }
    if (view.reasoning !== undefined) {
      if (view.thought_s >= 1 || view.reasoning) { showReasoning(entry, view.reasoning, false) }
      if (view.status !== "streaming") { showThought(entry, view.thought_s) }
    }
    if (was === "streaming" && view.status !== "streaming") {
      code.written(entry.body)
      const which = view.beside ? `Answer ${view.beside.number} of ${view.beside.of}` : "The answer"
      voice.ended(view.status === "complete" ? `${which} is complete.` : `${which} has ended.`)
    }
    if (view.files && !entry.files) {
      entry.files = attachedFiles(view.files)
      entry.body.before(entry.files)
    }
    const named = (node) => node.getAttribute("aria-label") ?? node.textContent
    const focused = entry.foot.contains(el.getRootNode().activeElement) ? named(el.getRootNode().activeElement) : null
    const refocus = entry.foot.contains(el.getRootNode().activeElement)
    entry.foot.replaceChildren()
    if (view.more) {
      entry.foot.append(element("button", {type: "button", class: "step", onclick: () => model.send_msg({type: "all", id: view.id})}, view.more))
    }
    if (view.processed) { entry.foot.append(processedLine(view, (msg) => model.send_msg(msg))) }
    if (view.note) { entry.foot.append(element("p", {class: "note"}, view.note)) }
    if (view.alert) {
      const alert = element("div", {class: "alert", role: "alert"}, element("p", {}, view.alert.text))
      const fits = view.alert.fits.map(([how, label]) => element("button", {type: "button", class: "step", onclick: () => model.send_msg({type: "fit", id: view.id, how})}, label))
      if (view.alert.step !== "none") { fits.push(step(view, view.alert)) }
      if (fits.length) { alert.append(element("div", {class: "steps"}, ...fits)) }
      if (view.alert.detail) {
        alert.append(element("details", {}, element("summary", {}, "What the server said"), element("pre", {}, view.alert.detail)))
      }
      entry.foot.append(alert)
    }
    if (view.status !== "streaming") { entry.foot.append(actions(view, entry)) }
    node.querySelector(":scope > .memory")?.remove()
    if (view.memory) { node.append(memoryOf(view)) }
    if (refocus) {
      const same = [...entry.foot.querySelectorAll("button")].find((node) => named(node) === focused && !node.disabled)
      ;(same || log).focus({preventScroll: true})
    }
  }

  // Behind the last message that the model is not told any more, or only as a summary.
  function memoryOf({id, memory: {text, summary, by}}) {
    const again = element("button", {type: "button", class: "word", onclick: () => model.send_msg({type: "tell_all", id})}, "Send all again")
    const line = element("div", {class: "memory", role: "note", "aria-label": "Where the model's memory begins"})
    if (summary === null) {
      line.append(element("span", {}, text), again)
      return line
    }
    const body = element("div", {class: "summary markdown", dir: "auto", hidden: ""})
    body.innerHTML = summary
    if (by) { body.append(element("p", {class: "note"}, by)) }
    const open = element("button", {type: "button", class: "word", "aria-expanded": "false", onclick() {
      body.hidden = !body.hidden
      open.setAttribute("aria-expanded", String(!body.hidden))
    }}, text)
    line.append(open, again, body)
    return line
  }

  const seconds = (s) => s < 60 ? `${Math.floor(s)} s` : `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`
  function showThinking(entry, since) {
    showReasoning(entry, "", true)
    clearInterval(entry.thinking)
    const began = performance.now() - since * 1000
    const tick = () => {
      const passed = (performance.now() - began) / 1000
      entry.reasoning.firstChild.textContent = passed < 1 ? "Thinking" : `Thinking for ${seconds(passed)}`
    }
    entry.thinking = setInterval(() => { if (entry.node.isConnected) { tick() } else { clearInterval(entry.thinking) } }, 1000)
    tick()
  }
  function showThought(entry, s) {
    clearInterval(entry.thinking)
    if (!entry.reasoning) { return }
    entry.reasoning.firstChild.textContent = s >= 1 ? `Thought for ${seconds(s)}` : "Thought"
    entry.reasoning.classList.toggle("bare", !entry.reasoning.lastChild.textContent)
  }
  function showReasoning(entry, text, append) {
    if (!entry.reasoning) {
      entry.reasoning = element("details", {class: "reasoning"}, element("summary", {}, "Thinking"), element("div", {class: "thought", dir: "auto"}))
      entry.body.before(entry.reasoning)
    }
    const thought = entry.reasoning.lastChild
    if (append) { thought.append(text) } else if (thought.textContent !== text) { thought.textContent = text }
  }

  function add(view) {
    const body = element("div", {class: view.role === "user" ? "body said" : "body markdown", dir: "auto"})
    const foot = element("div", {class: "foot"})
    const name = view.role === "user" ? "You" : "Assistant"
    // To jump by; without text of its own, which would be part of the message's.
    const heading = element("h2", {class: "unseen", "aria-label": name})
    const node = element("article", {"aria-label": name, "data-message-id": view.id}, heading, body, foot)
    const entry = {node, heading, body, foot, view: null, html: null, blocks: [], parsed: document.createDocumentFragment(), tail: null, tailHtml: "", reasoning: null}
    articles.set(view.id, entry)
    fill(entry, view)
    return entry
  }

  function arrange(order) {
    const kept = new Set(order)
    const held = list.contains(el.getRootNode().activeElement)
    for (const [id, entry] of articles) {
      if (!kept.has(id)) { entry.node.remove(); articles.delete(id); edits.gone(id) }
    }
    if (held && !list.contains(el.getRootNode().activeElement)) { log.focus({preventScroll: true}) }
    let before = list.firstChild
    for (const id of order) {
      const {node} = articles.get(id)
      if (node === before) { before = before.nextSibling } else { list.insertBefore(node, before) }
    }
  }

  let models = [] // labels of those that can answer
  let shown = null // the conversation
  let questions = 0 // of it, all in all
  const onPage = () => [...list.children].map((node) => articles.get(node.dataset.messageId))
  // For the text box, which recalls them: null is a long one, of which the page has a part.
  const tellQuestions = ({detail}) => {
    const texts = onPage().filter(({view}) => view.role === "user").map(({view, body}) => view.more ? null : body.textContent)
    Object.assign(detail, {conversation: shown, count: Math.max(questions, texts.length), texts})
  }
  const commands = {
    async "/copy"() {
      const copied = await onPage().findLast(({view}) => view.role === "assistant" && view.can.includes("copy") && (view.beside?.head ?? true))?.copy()
      handlers.notice(copied ? {text: "Copied the last answer.", kind: "info"} : {text: "The browser refused to copy. Try the button under the answer.", kind: "error"})
    },
    "/outline": () => contents.open.click(),
    "/edit"() {
      const entry = onPage().findLast(({view}) => view.role === "user")
      if (entry) { edits.open(entry) }
    },
  }
  const obey = ({detail}) => commands[detail]?.()
  // Alt + [ and ]: another version of the message that has the focus, or of the last that has any. By the places of the
  // keys, whatever a layout writes on them; Alt + M likewise, which is a letter on a Mac.
  const keys = (event) => {
    const held = [event.altKey, event.ctrlKey, event.shiftKey, event.metaKey].map(Number).join("")
    const step = {BracketLeft: "previous", BracketRight: "next"}[event.code]
    if (held !== "1000" || !(step || event.code === "KeyM") || isComposing(event)) { return }
    event.preventDefault()
    if (!step) {
      if (!map.hidden) { map.click() }
      return
    }
    const node = el.getRootNode().activeElement?.closest("article")
    const has = ({view}) => view.versions
    const entry = onPage().find((one) => one.node === node && has(one)) ?? onPage().findLast(has)
    const id = entry?.view.versions[step]
    if (id) { model.send_msg({type: "version", id}) }
    else { voice.now(entry ? `There is no ${step} version.` : "No message here has several versions.") }
  }
  document.addEventListener("keydown", keys)
  document.addEventListener("panelist:questions", tellQuestions)
  document.addEventListener("panelist:command", obey)

  let asked = 0 // times that the browser went back or forward
  let reached = 0 // those of them that the page has followed

  // --- what the server says ----------------------------------------------------------------------------------------
  function showEmpty(view) {
    empty.replaceChildren()
    empty.hidden = !view
    if (!view) { return }
    empty.append(element("h1", {}, view.title))
    if (view.banner) {
      empty.append(element("div", {class: "banner"}, element("p", {}, view.banner), element("button", {type: "button", class: "primary", onclick: () => model.send_msg({type: "connect"})}, "Connect a model")))
    }
    const chips = element("div", {class: "chips"})
    for (const chip of view.chips) {
      chips.append(element("button", {type: "button", class: "chip", onclick: () => model.send_msg({type: "chip", text: chip})}, chip))
    }
    empty.append(chips)
  }

  function fillIn({conversation, order, set, empty: view, more, questions: count}) {
    shown = conversation
    questions = count ?? questions
    for (const message of set) {
      const entry = articles.get(message.id)
      if (entry) { fill(entry, message) } else { add(message) }
    }
    arrange(order)
    setColumns(column, onPage())
    older.hidden = !more
    showEmpty(order.length ? null : view)
    pin.hidden = map.hidden = share.hidden = !order.length
    contents.update(count)
  }

  // What comes before the next frame is painted in one go: a page that is late then catches up instead of falling back.
  const unpainted = new Set()
  let written = null // the message of the last paint
  const writing = new Set() // what has an open tail
  function paintSoon(entry) {
    // A page that has no frames, or painted nothing lately, need not wait for one.
    const now = document.hidden || (!unpainted.size && !waiting.length && performance.now() - painted > FRAME_MS)
    unpainted.add(entry)
    if (now) { paint() } else { soon() }
  }
  let due = false // the next frame goes on
  function soon() {
    if (!due) { requestAnimationFrame(() => { due = false; goOn() }) }
    due = true
  }
  // Much at once is laid out over several frames; what the server says next waits for the last of them.
  const STILL_MS = 600 // after which the dot at the end breathes; before, that would cost frames of its own
  const FRAME_MS = 30
  let painted = 0
  const FRAME_ELEMENTS = 1500 // of finished blocks
  const waiting = []
  const elementsIn = (node) => node.nodeType === Node.ELEMENT_NODE ? 1 + node.getElementsByTagName("*").length : 0
  // The finished blocks that one frame takes, at least one where there are any.
  function taken(entry, most) {
    const now = document.createDocumentFragment()
    for (let left = most; left > 0;) {
      if (!entry.parsed.firstChild) {
        if (!entry.blocks.length) { break }
        const parser = document.createElement("template")
        parser.innerHTML = entry.blocks.shift()
        entry.parsed = parser.content
        continue
      }
      left -= elementsIn(entry.parsed.firstChild)
      if (left >= 0 || !now.firstElementChild) { now.append(entry.parsed.firstChild) }
    }
    return now
  }
  function paint() {
    for (const entry of unpainted) {
      if (!entry.tail) {
        entry.tail = element("div", {class: "tail"})
        entry.body.append(entry.tail)
      }
      unpainted.delete(entry)
      const last = entry.tail.previousElementSibling
      const now = taken(entry, document.hidden ? Infinity : FRAME_ELEMENTS)
      if (now.firstChild) {
        entry.tail.before(now)
        if (!entry.view.beside || entry.view.beside.number === 1) { voice.painted(entry.view.id, last, entry.tail, entry.body) } // one voice
        drawing.look(entry.body)
      }
      painted = entry.painted = performance.now()
      if (entry.blocks.length || entry.parsed.firstChild) {
        entry.tail.replaceChildren() // its place is behind what is still to come
        unpainted.add(entry)
        soon()
        return
      }
      entry.tail.innerHTML = entry.tailHtml
      entry.tail.classList.remove("still")
    }
  }
  function goOn() {
    try {
      paint()
      while (waiting.length && !behind()) { handle(waiting.shift()) }
    } finally { // what fails must not keep what comes after it
      if (waiting.length && !document.hidden) { soon() }
    }
  }
  const behind = () => [...unpainted].some(({blocks, parsed}) => blocks.length > 1 || parsed.firstChild)

  const handlers = {
    show(msg) {
      scroll.leave()
      timers.forEach(clearInterval)
      timers = []
      list.replaceChildren()
      articles.clear()
      writing.clear()
      edits.allGone()
      contents.left()
      voice.shown()
      fillIn(msg)
      scroll.arrived(msg.conversation)
    },
    patch(msg) {
      fillIn(msg)
      scroll.changed(msg.conversation, msg.mine)
    },
    reached({id}) {
      scroll.reached()
      contents.reached(id)
    },
    outline({items}) { contents.told(items) },
    // A search led here.
    stand({id}) {
      const node = articles.get(id)?.node
      if (!node) { return }
      scroll.show(node)
      node.classList.remove("sought")
      void node.offsetWidth // so that the mark shows once more
      node.classList.add("sought")
      voice.now(`${node.getAttribute("aria-label")}, found`)
    },
    // A paint of the reply being written (streaming.py): finished blocks, its open tail, and what it thinks.
    live(id, kept, tail, blocks = "", held = 0, {r, thinking, thought} = {}) {
      written = id || written
      const entry = articles.get(written)
      if (!entry) { return }
      if (thinking !== undefined) { showThinking(entry, thinking) }
      if (r) { showReasoning(entry, r, true) }
      if (thought !== undefined) { showThought(entry, thought) }
      entry.html = null
      writing.add(entry)
      if (blocks || held) { entry.blocks.push(entry.tailHtml.slice(0, held) + blocks) }
      if (tail !== null) {
        entry.tailHtml = entry.tailHtml.slice(0, kept) + tail
        paintSoon(entry)
      }
    },
    // The last paint: nothing is open any more.
    settle({id}) {
      const entry = articles.get(id)
      writing.delete(entry)
      if (entry && entry.tail) { entry.tail.remove(); entry.tail = null; entry.tailHtml = "" }
    },
    // The address bar and the window's title follow the conversation on show.
    address({id, title, back}) {
      if (back !== undefined) { reached = Math.max(reached, back) }
      // While it goes back, the address is ahead of the page.
      if (reached < asked) { return }
      const url = new URL(location.href)
      if (id) { url.searchParams.set("c", id) } else { url.searchParams.delete("c") }
      if (url.href !== location.href) { history[back === undefined ? "pushState" : "replaceState"]({}, "", url) }
      document.title = title ? `${title} – Panelist` : "Panelist"
    },
    trouble({text}) {
      trouble = text
      showBanner()
    },
    activity({text}) { activity.textContent = text },
    likely({id, ...found}) {
      const entry = articles.get(id)
      if (entry) { showLikely(entry, found) }
    },
    // What is done for each of the answers that stand side by side, or what came of it.
    doing({of}) {
      for (const [id, text] of Object.entries(of)) {
        const doing = articles.get(id)?.beside?.querySelector(".doing")
        if (doing && doing.textContent !== text) { doing.textContent = text }
      }
    },
    models({labels}) { models = labels },
    edit({id}) {
      const entry = articles.get(id)
      if (entry) { edits.open(entry) }
    },
    edited(msg) { edits.told(msg) },
    copied({id, text}) {
      copies.get(id)?.resolve(text)
      copies.delete(id)
    },
    notice({text, kind, undo}) {
      const toast = element("div", {class: `toast ${kind}`}, element("span", {}, text))
      const close = () => {
        const held = toast.contains(el.getRootNode().activeElement)
        toast.remove()
        if (held) { log.focus({preventScroll: true}) }
      }
      if (undo) {
        toast.append(element("button", {type: "button", onclick: () => { model.send_msg({type: "undo", mark: undo}); close() }}, "Undo"))
      }
      toast.append(element("button", {type: "button", "aria-label": "Dismiss", onclick: close}, "✕"))
      notices.replaceChildren(toast)
      let timer = setTimeout(close, 12000)
      toast.addEventListener("mouseenter", () => clearTimeout(timer))
      toast.addEventListener("focusin", () => clearTimeout(timer))
      toast.addEventListener("mouseleave", () => { timer = setTimeout(close, 6000) })
    },
  }
  listen(model, (msg) => {
    hear()
    if (msg.type === "pong") { return }
    if (waiting.length || (!Array.isArray(msg) && behind())) { waiting.push(msg) } else { handle(msg) }
    if (waiting.length && document.hidden) { goOn() }
  })
  function handle(msg) {
    if (Array.isArray(msg)) {
      handlers.live(...msg.slice(1))
    } else {
      paint()
      if (unpainted.size) { waiting.unshift(msg) } else { handlers[msg.type](msg) } // nothing else finds the page as it was
    }
  }

  // --- the line to the server --------------------------------------------------------------------------------------
  const PING_MS = 1000
  const LOST_MS = 2400 // of silence; pings follow one another without waiting, so a slow line is not a silent one
  const BURIED_MS = 8000 // of silence, while the server answers others: nothing will come on this socket any more
  let trouble = null
  let lost = false
  let closed = false
  let heard = performance.now()
  let beaten = heard
  let pinged = 0
  function showBanner() {
    if (lost) { document.documentElement.dataset.panelistLost = "" } else { delete document.documentElement.dataset.panelistLost }
    const text = lost ? "Connection lost. Panelist comes back by itself as soon as it can; your draft is kept." : trouble
    banner.textContent = text || ""
    banner.hidden = !text
  }
  let returning = false
  async function comeBack() {
    if (returning) { return }
    returning = true
    await window.panelistComeBack(() => lost, () => closed || silence() > BURIED_MS) // assets/come_back.js
    returning = false
  }
  function lose() {
    if (lost) { return }
    lost = true
    showBanner()
    edits.lost()
    document.dispatchEvent(new Event("panelist:lost"))
    comeBack()
  }
  // What was only silent for a while, and is not closed, goes on where it was.
  function hear() {
    heard = performance.now()
    if (lost && !closed && navigator.onLine) {
      lost = false
      showBanner()
      document.dispatchEvent(new Event("panelist:found"))
    }
  }
  const silence = () => performance.now() - heard
  view.model.document.on_event("connection_lost", () => { closed = true; lose() })
  // A line that was cut without a word (sleep, a dropped network) shows by answers that do not come.
  const beat = setInterval(() => {
    const now = performance.now()
    // While this page itself slept or was busy, it could hear nothing.
    if (document.hidden || now - beaten > 1000) { heard = now }
    beaten = now
    for (const entry of writing) {
      if (now - (entry.painted ?? 0) > STILL_MS) { entry.tail?.classList.add("still") }
    }
    if (lost || document.hidden) { return }
    if (silence() > LOST_MS) { lose(); return }
    if (now - pinged > PING_MS) {
      pinged = now
      model.send_msg({type: "ping"})
    }
  }, 250)
  const online = () => { if (lost && !closed) { model.send_msg({type: "ping"}) } }
  window.addEventListener("offline", lose)
  window.addEventListener("online", online)

  // --- what is in answers: one listener for all of a kind ----------------------------------------------------------
  list.addEventListener("click", (event) => {
    const picture = event.target.closest("button.load-image")
    if (picture && /^https?:/.test(picture.dataset.src)) { window.open(picture.dataset.src, "_blank", "noopener,noreferrer") }
  })
  const drawing = diagrams({list, log, frame, files: model.esm_constants.diagrams, isDark: () => model.dark})
  const code = codeBlocks(list, log, () => scroll.follow(false))
  tables(list, (text) => voice.now(text))

  const back = () => model.send_msg({type: "open", id: new URL(location.href).searchParams.get("c"), back: ++asked})
  window.addEventListener("popstate", back)

  // The next visit's first paint has the right theme because the server reads it from this cookie.
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  const remembered = /(?:^|; )panelist_theme=/.test(document.cookie)
  model.on("dark", () => {
    theme()
    drawing.repaint()
    document.cookie = `panelist_theme=${model.dark ? "dark" : "light"}; path=/; max-age=31536000; samesite=lax`
  })
  theme()
  model.on("remove", () => {
    document.removeEventListener("keydown", keys)
    document.removeEventListener("panelist:questions", tellQuestions)
    document.removeEventListener("panelist:command", obey)
    scroll.end()
    edits.leave()
    voice.end()
    code.leave()
    drawing.leave()
    timers.forEach(clearInterval)
    window.removeEventListener("popstate", back)
    window.removeEventListener("offline", lose)
    window.removeEventListener("online", online)
    clearInterval(beat)
  })
  if (opening) { handlers.show(JSON.parse(opening)) }
  window.panelistIsHere() // assets/come_back.js
  // Not at once: until the whole page is in place, Bokeh would send this component's entire state along.
  setTimeout(() => {
    model.send_msg({
      type: "ready",
      dark: remembered ? model.dark : matchMedia("(prefers-color-scheme: dark)").matches,
      narrow: window.innerWidth < 600,
      opened: Boolean(opening),
    })
    unasked.forEach((msg) => model.send_msg(msg))
    unasked = null
  })
}
