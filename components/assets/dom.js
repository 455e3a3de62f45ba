// Elements, icons and the clipboard, for the scripts of all components.

const ICONS = {
  copy: "M8 8V5a1 1 0 0 1 1-1h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1h-3M5 8h10a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1z",
  done: "M5 12.5l4.5 4.5L19 7.5",
  more: "M6 9.5l6 6 6-6",
  again: "M20 11a8 8 0 1 0-2.3 6M20 5v6h-6",
  on: "M5 5l8 7-8 7M19 5v14",
  previous: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  close: "M6 6l12 12M18 6L6 18",
  outline: "M4 6h16M8 12h12M8 18h12",
  pin: "M5 4h14M12 8v12M7 13l5-5 5 5",
  send: "M12 19V6M6 11l6-6 6 6",
  edit: "M4 20l1-5L16 4l4 4L9 19zM14 6l4 4",
  stop: "M7 7h10v10H7z",
  pencil: "M4 20h4L19 9l-4-4L4 16v4zM13.5 6.5l4 4",
  bin: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  plus: "M12 5v14M5 12h14",
  eye: "M2.5 12s3.5-6.5 9.5-6.5 9.5 6.5 9.5 6.5-3.5 6.5-9.5 6.5S2.5 12 2.5 12zM12 9.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z",
  down: "M12 5v14M6 13l6 6 6-6",
  clip: "M20 11.5l-8.2 8.2a5 5 0 0 1-7-7L13.4 4a3.3 3.3 0 0 1 4.7 4.7l-8.6 8.5a1.6 1.6 0 0 1-2.3-2.3l7.6-7.6",
  file: "M7 3h7l4 4v14H7zM14 3v4h4M10 12h5M10 16h5",
}

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
