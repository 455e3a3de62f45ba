// The text box. It owns its text: nothing that is typed goes anywhere before it is sent, and it is cleared only when
// the server has stored it. The draft is kept in the browser, per conversation.

const SEND = "M12 19V6M6 11l6-6 6 6"
const EDIT = "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4"
const REMOVE = "M6 6l12 12M18 6L6 18"
const STOP = "M7 7h10v10H7z"
const MOST_KEPT = 200_000 // characters of a draft that are kept for all visits; a longer one only for this tab's
const MEASURED = 20_000 // characters up to which the height follows the text; more is a full box anyway
const PATIENCE_MS = 15000

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
  box.dir = "auto"
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
  const outgoing = document.createElement("p")
  outgoing.className = "outgoing"
  outgoing.dir = "auto"
  const frame = document.createElement("div")
  frame.className = "frame"
  frame.append(box, stop, send)
  form.append(queue, outgoing, refusal, frame)
  el.replaceChildren(form)

  let sending = null // {key, text, where}: on its way
  let given = null // one that was given back because no word came, in case the word comes after all
  const NEW = "panelist.draft.new"
  const place = () => model.conversation ? `panelist.draft.${model.conversation}` : NEW

  // Storage may be full or forbidden; then the drafts live as long as the page.
  const drafts = new Map()
  function keepAt(where, text) {
    const long = text.length > MOST_KEPT
    try {
      localStorage.removeItem(where)
      sessionStorage.removeItem(where)
      if (text) { (long ? sessionStorage : localStorage).setItem(where, text) }
      drafts.delete(where)
    } catch { drafts.set(where, text) }
  }
  function keptAt(where) {
    if (drafts.has(where)) { return drafts.get(where) }
    try { return sessionStorage.getItem(where) || localStorage.getItem(where) || "" } catch { return "" }
  }
  const recall = () => keptAt(place())
  // What `joined` put before a text is taken away again; a word that only begins alike is left alone.
  const without = (text, start) => text === start ? "" : text.startsWith(`${start}\n\n`) ? text.slice(start.length + 2) : text
  const joined = (before, after) => after.trim() ? `${before}\n\n${after}` : before
  // What is on its way stays a draft until the server has stored it.
  const keep = () => keepAt(place(), sending?.where === place() ? joined(sending.text, box.value) : box.value)
  let touched = false // a page in which nothing was typed must not wipe out what another one keeps
  let later = 0
  const keepSoon = () => {
    clearTimeout(later)
    const where = place()
    later = setTimeout(() => { if (where === place()) { keep() } }, box.value.length > MEASURED ? 1000 : 150)
  }
  const leave = () => { if (touched) { keep() } }
  window.addEventListener("pagehide", leave)

  function fit() {
    const limit = Math.min(320, window.innerHeight * 0.4)
    const long = box.value.length > MEASURED
    if (!long) { box.style.height = "auto" }
    const height = long ? limit : box.scrollHeight
    box.style.height = `${Math.min(height, limit)}px`
    box.style.overflowY = long || height > limit ? "auto" : "hidden"
  }
  function update() {
    const writing = model.writing
    stop.hidden = !writing
    send.title = writing ? "Send after this answer (Enter), or stop it and send now (Ctrl + Enter)" : "Send (Enter)"
    send.disabled = sending !== null || !box.value.trim()
    outgoing.textContent = sending?.where === place() ? sending.text : ""
    outgoing.hidden = !outgoing.textContent
    box.placeholder = model.placeholder
    fit()
  }
  function showQueue() {
    const held = queue.contains(el.getRootNode().activeElement)
    queue.hidden = !model.queue.length
    const heading = document.createElement("p")
    heading.textContent = model.held ? "Not sent, because the last answer did not finish:" : "Sent when the answer ends:"
    const list = document.createElement("ul")
    for (const {id, text} of model.queue) {
      const item = document.createElement("li")
      const words = document.createElement("span")
      words.textContent = text
      words.dir = "auto"
      item.append(words)
      for (const [label, path, type] of [["Send now", SEND, "send_now"], ["Edit queued message", EDIT, "edit"], ["Remove queued message", REMOVE, "unqueue"]]) {
        const act = document.createElement("button")
        act.type = "button"
        act.title = label
        act.setAttribute("aria-label", label)
        act.append(icon(path))
        act.addEventListener("click", () => model.send_msg({type, id}))
        item.append(act)
      }
      list.append(item)
    }
    queue.replaceChildren(heading, list)
    if (held) { box.focus() }
  }
  function refuse(text) {
    refusal.textContent = text
    refusal.hidden = !text
  }

  // The same text in the same place, sent again because no word came back, even after a reload or a refusal, is the
  // same request: only the word that it is stored ends it.
  function keyFor(text) {
    const where = place().replace("draft", "sent")
    try {
      const last = JSON.parse(localStorage.getItem(where) || "null")
      if (last && last.text === text) { return last.key }
    } catch { /* a fresh key then */ }
    const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
    try { localStorage.setItem(where, JSON.stringify({key, text})) } catch { /* too long to keep: a retry is a new request */ }
    return key
  }
  function confirmed(where) {
    try { localStorage.removeItem(where.replace("draft", "sent")) } catch { /* see keyFor */ }
  }

  function submit(now = false) {
    const text = box.value
    if (!text.trim()) { return }
    if (sending !== null) { // after the one before it
      sending.then = () => submit(now)
      return
    }
    if (text.length > model.limit) {
      const count = (number) => number.toLocaleString("en")
      refuse(`The message has ${count(text.length)} characters, and ${count(model.limit)} is the most. Send it in parts.`)
      return
    }
    if ("panelistLost" in document.documentElement.dataset) {
      refuse("The connection is lost. Your message is kept here; send it when the connection is back.")
      return
    }
    refuse("")
    touched = true
    sending = {key: keyFor(text), text, where: place()}
    given = null
    box.value = ""
    keep()
    update()
    model.send_msg({type: "send", key: sending.key, text, now, conversation: model.conversation})
    setTimeout(waited, PATIENCE_MS, sending.key)
  }
  // Back into the text box, or among the drafts of the conversation it was meant for.
  function giveBack() {
    if (sending === null) { return }
    given = sending
    sending = null
    if (given.where === place()) {
      box.value = joined(given.text, box.value)
      keep()
    }
    update()
  }
  document.addEventListener("panelist:lost", giveBack)
  // No word from the server: the text comes back and can be sent again.
  function waited(key) {
    if (sending?.key !== key) { return }
    giveBack()
    refuse("Panelist has not confirmed this message yet. It is kept here; look above before you send it again.")
  }
  function stored({key, conversation}) {
    const sent = [sending, given].find((one) => one?.key === key)
    if (!sent) { return }
    const onItsWay = sending === sent
    sending = onItsWay ? null : sending
    given = null
    confirmed(sent.where)
    const rest = without(keptAt(sent.where), sent.text)
    if (sent.where === place()) {
      if (!onItsWay) { box.value = without(box.value, sent.text) }
      keep()
    } else if (sent.where === NEW && conversation === model.conversation) { // it began this one
      keepAt(sent.where, "")
      box.value = rest + box.value // typed without a pause: it is one text
      keep()
    } else {
      keepAt(sent.where, rest)
      return
    }
    touched = Boolean(box.value)
    refuse("")
    if (onItsWay && sent.then) { sent.then() }
  }

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
  let here = place()
  model.on("conversation", () => {
    clearTimeout(later)
    if (here !== place() && touched) { keepAt(here, sending?.where === here ? joined(sending.text, box.value) : box.value) }
    here = place()
    box.value = sending?.where === here ? without(recall(), sending.text) : recall()
    refuse("")
    update()
    if (matchMedia("(hover: hover)").matches) { box.focus() }
  })
  model.on(["writing", "placeholder"], update)
  model.on("msg:custom", (msg) => {
    if (msg.type === "stored") {
      stored(msg)
    } else if (msg.type === "refused" && sending && msg.key === sending.key) {
      giveBack()
      refuse(msg.text)
    } else if (msg.type === "fill") {
      box.value = box.value.trim() ? `${msg.text}\n\n${box.value}` : msg.text // a draft is never written over
      touched = true
      keep()
      if (msg.taken) { model.send_msg({type: "taken", id: msg.taken}) } // only now: it is never nowhere
    }
    update()
    box.focus()
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
      model.send_msg({type: "new"})
    }
  }
  document.addEventListener("keydown", keys)
  model.on("remove", () => {
    document.removeEventListener("keydown", keys)
    window.removeEventListener("pagehide", leave)
    document.removeEventListener("panelist:lost", giveBack)
  })

  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  box.value = recall()
  update()
  showQueue()
  const first = window.panelistFirst
  requestAnimationFrame(() => { fit(); if (!first && matchMedia("(hover: hover)").matches) { box.focus() } })
  // What was typed, or sent, before this page was live.
  if (first) {
    first.meet({composer({text, start, end, focused, sent}) {
      if (sent !== null) {
        box.value = sent
        submit()
      }
      box.value = sent !== null && sending === null ? joined(sent, text) : text // refused on the spot
      touched ||= text !== recall()
      leave()
      update()
      if (focused) {
        box.focus()
        box.setSelectionRange(start, end)
      }
    }})
  }
}
