// The text box. It owns its text: nothing that is typed goes anywhere before it is sent, and it is cleared only when
// the server has stored it. The draft is kept in the browser, per conversation.

const SEND = "M12 19V6M6 11l6-6 6 6"
const STOP = "M7 7h10v10H7z"
const MOST_KEPT = 200_000 // characters of a draft that are kept in the browser; more would make every visit slow
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
  const frame = document.createElement("div")
  frame.className = "frame"
  frame.append(box, stop, send)
  form.append(refusal, frame)
  el.replaceChildren(form)

  let sending = null // {key, text}
  const place = () => `panelist.draft.${model.conversation || "new"}`

  // Storage may be full or forbidden; then the drafts live as long as the page.
  const drafts = new Map()
  function keepAt(where, text) {
    drafts.set(where, text)
    try {
      if (text && text.length <= MOST_KEPT) { localStorage.setItem(where, text) } else { localStorage.removeItem(where) }
    } catch { /* see above */ }
  }
  const keep = () => keepAt(place(), box.value)
  let later = 0
  const keepSoon = () => {
    clearTimeout(later)
    const where = place()
    later = setTimeout(() => { if (where === place()) { keep() } }, box.value.length > MEASURED ? 1000 : 150)
  }
  window.addEventListener("pagehide", keep)
  function recall() {
    if (drafts.has(place())) { return drafts.get(place()) }
    try { return localStorage.getItem(place()) || "" } catch { return "" }
  }

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
    send.hidden = writing
    send.disabled = sending !== null || !box.value.trim()
    box.readOnly = sending !== null
    box.placeholder = model.placeholder
    fit()
  }
  function refuse(text) {
    refusal.textContent = text
    refusal.hidden = !text
  }

  // The same text in the same place, sent again because no word came back, even after a reload, is the same request.
  function keyFor(text) {
    const where = place().replace("draft", "sent")
    try {
      const last = JSON.parse(sessionStorage.getItem(where) || "null")
      if (last && last.text === text) { return last.key }
    } catch { /* a fresh key then */ }
    const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")
    try { sessionStorage.setItem(where, JSON.stringify({key, text})) } catch { /* too long to keep: a retry is a new request */ }
    return key
  }
  function confirmed(where) {
    try { sessionStorage.removeItem(where.replace("draft", "sent")) } catch { /* see keyFor */ }
  }

  function submit() {
    if (sending !== null || !box.value.trim()) { return }
    if (model.writing) {
      refuse("An answer is still being written. Wait for its end, or stop it first.")
      return
    }
    if (box.value.length > model.limit) {
      const count = (number) => number.toLocaleString("en")
      refuse(`The message has ${count(box.value.length)} characters, and ${count(model.limit)} is the most. Send it in parts.`)
      return
    }
    refuse("")
    sending = {key: keyFor(box.value), text: box.value}
    update()
    model.send_msg({type: "send", key: sending.key, text: sending.text})
    setTimeout(waited, PATIENCE_MS, sending.key)
  }
  // No word from the server: the text stays and can be sent again.
  function waited(key) {
    if (sending === null || sending.key !== key) { return }
    sending = null
    refuse("Panelist has not confirmed this message yet. It is kept here; look above before you send it again.")
    update()
  }

  box.addEventListener("input", () => { refuse(""); keepSoon(); update() })
  box.addEventListener("keydown", (event) => {
    // keyCode 229: Safari ends a composition before the key event that ended it.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault()
      submit()
    }
  })
  form.addEventListener("submit", (event) => { event.preventDefault(); submit() })
  stop.addEventListener("click", () => { model.send_msg({type: "stop"}); box.focus() })
  frame.addEventListener("click", (event) => { if (event.target === frame) { box.focus() } })

  // The draft belongs to the conversation that the text was typed in.
  let here = place()
  model.on("conversation", () => {
    clearTimeout(later)
    if (sending === null && here !== place()) { keepAt(here, box.value) }
    here = place()
    if (sending === null) { // sending from an empty page changes the conversation too: the text box is cleared below
      box.value = recall()
      refuse("")
    }
    update()
    if (matchMedia("(hover: hover)").matches) { box.focus() }
  })
  model.on(["writing", "placeholder"], update)
  model.on("msg:custom", (msg) => {
    if (msg.type === "stored" && sending && msg.key === sending.key) {
      keepAt(`panelist.draft.${msg.draft || "new"}`, "")
      confirmed(`panelist.draft.${msg.draft || "new"}`)
      sending = null
      box.value = recall()
    } else if (msg.type === "refused" && sending && msg.key === sending.key) {
      sending = null
      confirmed(place())
      refuse(msg.text)
    } else if (msg.type === "fill") {
      box.value = box.value.trim() ? `${msg.text}\n\n${box.value}` : msg.text // a draft is never written over
      keep()
    }
    update()
    box.focus()
  })

  const keys = (event) => {
    const typing = event.composedPath()[0]
    const inField = typing instanceof HTMLElement && (typing.matches("input, textarea, select") || typing.isContentEditable)
    if (event.key === "Escape" && model.writing && !event.defaultPrevented) {
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
    window.removeEventListener("pagehide", keep)
  })

  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  box.value = recall()
  update()
  requestAnimationFrame(() => { fit(); if (matchMedia("(hover: hover)").matches) { box.focus() } })
}
