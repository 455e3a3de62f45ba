// Elements, icons (of icons.json), messages and the clipboard, for the scripts of all components.

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 24 24")
  svg.setAttribute("aria-hidden", "true")
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path")
  path.setAttribute("d", ICONS[name])
  svg.append(path)
  return svg
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) { node.addEventListener(name.slice(2), value) }
    else if (value !== null && value !== undefined && value !== false) { node.setAttribute(name, value) }
  }
  node.append(...children)
  return node
}

// What the server says, one message or several that came as one (scripts.py).
function listen(model, hear) {
  model.on("msg:custom", (msg) => {
    if (msg[0] !== "all") { hear(msg); return }
    for (const one of JSON.parse(msg[1])) {
      try { hear(one) } catch (error) { reportError(error) } // one that fails must not take the others along
    }
  })
}

// A word for a request, by which it is known when it comes again.
const randomKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("")

// Keys of an input method. keyCode 229: Safari ends a composition before the key event that ended it.
const isComposing = (event) => event.isComposing || event.keyCode === 229

function button(label, iconName, onclick, attributes = {}) {
  return element("button", {type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...attributes}, icon(iconName))
}

// Writes `plain`, and `html` beside it, each a string or a promise of one. Works on plain http too, where there is no
// navigator.clipboard.
async function writeClipboard(plain, html = null) {
  if (navigator.clipboard && window.isSecureContext && window.ClipboardItem) {
    const blob = async (type, text) => new Blob([await text], {type})
    const forms = {"text/plain": blob("text/plain", plain)}
    if (html !== null) { forms["text/html"] = blob("text/html", html) }
    try {
      return await navigator.clipboard.write([new ClipboardItem(forms)]) // at once, while the click still counts
    } catch { /* refused: there is an older way */ }
  }
  const texts = {"text/plain": await plain, "text/html": await html}
  const area = element("textarea", {style: "position:fixed;opacity:0", readonly: "", "aria-hidden": "true"})
  const held = innermost(document.activeElement)
  area.value = texts["text/plain"] || " " // nothing selected is nothing copied
  area.addEventListener("copy", (event) => {
    for (const [type, text] of Object.entries(texts)) { if (text !== null) { event.clipboardData.setData(type, text) } }
    event.preventDefault()
    event.stopPropagation()
  })
  document.body.append(area)
  area.select()
  const copied = document.execCommand("copy")
  area.remove()
  held?.focus({preventScroll: true})
  if (!copied) { throw new Error("copy refused") }
}

// What has the keyboard, in whichever shadow root.
function innermost(node) {
  while (node?.shadowRoot?.activeElement) { node = node.shadowRoot.activeElement }
  return node
}

function flash(node, label, text) {
  node.setAttribute("aria-label", text)
  node.classList.add("flashed")
  setTimeout(() => { node.setAttribute("aria-label", label); node.classList.remove("flashed") }, 1600)
}
