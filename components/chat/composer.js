// The text box. It owns its text: nothing that is typed goes anywhere before it is sent, and it is cleared only when
// the server has stored it. The draft is kept in the browser, per conversation.

const SEND = "M12 19V6M6 11l6-6 6 6"
const STOP = "M7 7h10v10H7z"
const LIMIT_PX = 320

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

  // Storage may be full or forbidden; then the draft lives as long as the page.
  const keep = () => {
    try {
      if (box.value) { localStorage.setItem(place(), box.value) } else { localStorage.removeItem(place()) }
    } catch { /* see above */ }
  }
  const recall = () => {
    try { return localStorage.getItem(place()) || "" } catch { return "" }
  }

  function fit() {
    box.style.height = "auto"
    box.style.height = `${Math.min(box.scrollHeight, LIMIT_PX)}px`
    box.style.overflowY = box.scrollHeight > LIMIT_PX ? "auto" : "hidden"
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

  function submit() {
    if (sending !== null || !box.value.trim()) { return }
    if (model.writing) {
      refuse("An answer is still being written. Wait for its end, or stop it first.")
      return
    }
    refuse("")
    sending = {key: crypto.randomUUID ? crypto.randomUUID() : String(Math.random()), text: box.value}
    update()
    model.send_msg({type: "send", key: sending.key, text: sending.text})
  }

  box.addEventListener("input", () => { refuse(""); keep(); update() })
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
  model.on("conversation", () => {
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
      try { localStorage.removeItem(`panelist.draft.${msg.draft || "new"}`) } catch { /* see keep */ }
      box.value = ""
      sending = null
      keep()
    } else if (msg.type === "refused" && sending && msg.key === sending.key) {
      sending = null
      refuse(msg.text)
    } else if (msg.type === "fill") {
      box.value = msg.text
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
  model.on("remove", () => document.removeEventListener("keydown", keys))

  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  box.value = recall()
  update()
  requestAnimationFrame(() => { fit(); if (matchMedia("(hover: hover)").matches) { box.focus() } })
}
