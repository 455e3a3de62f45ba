// A message as others take it: rich text, plain text, and the TeX of its formulas. All from what is on the page.

const MATH = "http://www.w3.org/1998/Math/MathML"
const OURS = "[data-added], .code-head, .table-tools, button"

function texOf(math) {
  const mark = math.getAttribute("display") === "block" ? "$$" : "$"
  return mark + (math.querySelector("annotation") || math).textContent + mark
}

// A copy of rendered Markdown without what is only for this page.
function bare(body) {
  const copy = body.cloneNode(true)
  for (const head of copy.querySelectorAll(".sort")) { head.replaceWith(...head.childNodes) }
  for (const picture of copy.querySelectorAll(".load-image")) {
    picture.replaceWith(element("a", {href: picture.dataset.src}, picture.dataset.src))
  }
  for (const box of copy.querySelectorAll("input")) { box.replaceWith(box.hasAttribute("checked") ? "☑" : "☐") }
  copy.querySelectorAll(".tail").forEach((node) => node.replaceWith(...node.childNodes))
  for (const part of copy.querySelectorAll("[data-continued]")) { // of what was too long for one piece
    const [into, more] = [part.previousElementSibling, part].map((node) => node.querySelector(":scope > .table-scroll > table > tbody") || node)
    if (into.localName === more.localName) {
      into.append(...more.childNodes)
      part.remove()
    }
  }
  copy.querySelectorAll(OURS).forEach((node) => node.remove())
  copy.querySelectorAll(".code-block, .table-block, .table-scroll, pre span").forEach((node) => node.replaceWith(...node.childNodes))
  copy.normalize()
  return copy
}

function htmlOf(body) {
  const copy = bare(body)
  for (const node of copy.querySelectorAll("*")) {
    const align = /^align-(left|center|right)$/.exec(node.getAttribute("class"))
    for (const {name} of [...node.attributes]) {
      if (!["href", "title", "start"].includes(name) && (node.namespaceURI !== MATH || name === "class")) { node.removeAttribute(name) }
    }
    if (align) { node.setAttribute("style", `text-align: ${align[1]}`) }
  }
  return copy.innerHTML.trim()
}

function textOf(body) {
  const KEPT = "\u0000" // a line break in code
  const block = (text) => `\n\n${text}\n\n`
  const read = (node) => {
    if (node.nodeType === Node.TEXT_NODE) { return node.data.replace(/\s+/g, " ") }
    const inside = () => [...node.childNodes].map(read).join("")
    const tidy = (text) => text.replace(/[ \t]*\n[ \t]*/g, "\n").replace(/\n{2,}/g, "\n").trim()
    switch (node.localName) {
      case "br": return "\n"
      case "hr": return block("———")
      case "pre": return block(node.textContent.replace(/\n$/, "").replaceAll("\n", KEPT))
      case "math": return texOf(node)
      case "tr": return `\n${[...node.cells].map((cell) => tidy(read(cell))).join("\t")}`
      case "li": {
        const number = node.parentNode.localName === "ol" ? `${Number(node.parentNode.getAttribute("start") || 1) + [...node.parentNode.children].indexOf(node)}.` : "-"
        return `\n${number} ${inside().trim().replace(/\n{2,}/g, "\n").replaceAll("\n", "\n  ")}`
      }
      case "dt": case "dd": return `\n${node.localName === "dd" ? "  " : ""}${inside().trim()}`
      case "thead": case "tbody": return [...node.children].map(read).join("")
      case "p": case "h1": case "h2": case "h3": case "h4": case "h5": case "h6":
      case "ul": case "ol": case "dl": case "blockquote": case "table": case "div": return block(inside().trim())
      default: return inside()
    }
  }
  return read(bare(body)).replace(/[ \t]+\n/g, "\n").replace(/\n{3,}/g, "\n\n").replaceAll(KEPT, "\n").trim() + "\n"
}

const formulasOf = (body) => [...body.querySelectorAll("math")].map(texOf).join("\n\n") + "\n"

// A text as a paragraph, as its writer broke its lines.
function htmlOfText(text) {
  const lines = text.split("\n").flatMap((line) => [element("br"), line]).slice(1)
  return element("p", {}, ...lines).outerHTML
}

// A button with a small menu: arrows, Home, End, Enter, Esc; the keyboard returns to the button.
function menuButton(frame, label, iconName, items) {
  let menu = null
  let options = []
  const close = (back) => {
    if (!menu) { return }
    const old = menu
    menu = null
    old.remove()
    anchor.setAttribute("aria-expanded", "false")
    document.removeEventListener("pointerdown", outside, true)
    frame.removeEventListener("wheel", leave)
    if (back) { anchor.focus({preventScroll: true}) }
  }
  const leave = (event) => { if (!menu.contains(event.target)) { close(true) } }
  const outside = (event) => {
    const path = event.composedPath()
    if (!path.includes(menu) && !path.includes(anchor)) { close(false) }
  }
  const open = () => {
    options = items().map(([name, act]) => element("button", {type: "button", role: "menuitem", tabindex: "-1", onclick: () => { close(true); act(anchor) }}, name))
    menu = element("div", {class: "menu", role: "menu", "aria-label": label, onkeydown: move, onfocusout: blur}, ...options)
    anchor.setAttribute("aria-expanded", "true")
    document.addEventListener("pointerdown", outside, true)
    frame.addEventListener("wheel", leave, {passive: true})
    frame.append(menu) // not in the article, which clips
    const [place, room] = [anchor.getBoundingClientRect(), frame.getBoundingClientRect()]
    const below = place.bottom + menu.offsetHeight + 8 < room.bottom
    menu.style.top = `${Math.max(8, (below ? place.bottom + 4 : place.top - menu.offsetHeight - 4) - room.top)}px`
    menu.style.left = `${Math.max(8, Math.min(place.left, room.right - menu.offsetWidth - 8) - room.left)}px`
    options[0]?.focus({preventScroll: true})
  }
  const move = (event) => {
    const at = options.indexOf(event.target)
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: options.length - 1}[event.key]
    if (event.key === "Tab") { close(true); return } // and goes on from the button
    if (event.key === "Escape") {
      close(true)
    } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey && event.key !== " ") { // the next one with that letter
      const from = [...options.slice(at + 1), ...options.slice(0, at + 1)]
      from.find(({textContent}) => textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus()
    } else if (to === undefined) { return } else { options.at(to % options.length).focus() }
    event.preventDefault()
    event.stopPropagation() // Esc elsewhere stops an answer
  }
  const blur = ({relatedTarget}) => { if (relatedTarget && menu && !menu.contains(relatedTarget)) { close(false) } }
  const anchor = button(label, iconName, () => menu ? close(true) : open(), {"aria-haspopup": "menu", "aria-expanded": "false"})
  anchor.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && !menu) {
      event.preventDefault()
      open()
    }
  })
  return anchor
}
