// The outline of the conversation: its questions, and below them the headings of the answers that are on the page.

const OUTLINE_CHARS = 80
const HEADINGS = ":scope > :is(h1, h2, h3)"

function outline({frame, log, list, ask, show}) {
  let questions = [] // {id, text}, of the whole conversation
  let asked = null // the question that is on its way to the page
  let place = null // where the keyboard is
  const items = element("div", {class: "outline-items"})
  const panel = element("nav", {class: "outline", "aria-label": "Outline", hidden: "", onkeydown: move},
    element("div", {class: "outline-head"}, element("span", {}, "Outline"), button("Close outline", "close", () => close())), items)
  const open = button("Outline", "outline", () => panel.hidden ? unfold() : close(), {"aria-expanded": "false", hidden: ""})
  frame.append(panel)

  const find = (id) => [...list.children].find((article) => article.dataset.messageId === id)
  const cut = (text) => {
    const line = text.replace(/\s+/g, " ").trim()
    return line.length > OUTLINE_CHARS ? `${line.slice(0, OUTLINE_CHARS - 1)}…` : line
  }
  function headings(question) {
    const found = []
    for (let next = question.nextElementSibling; next && !next.matches(".user"); next = next.nextElementSibling) {
      found.push(...next.querySelector(":scope > .body").querySelectorAll(HEADINGS))
    }
    return found
  }
  function entry(level, text, target, go) {
    const node = element("button", {type: "button", class: `outline-item level-${level}`, tabindex: "-1", dir: "auto", onclick: () => { focus(node); go() }}, cut(text) || "…")
    node.target = target
    return node
  }
  function draw() {
    const at = place ? [...items.children].indexOf(place) : -1
    const held = panel.contains(panel.getRootNode().activeElement) && at >= 0
    const loaded = new Map([...list.children].map((article) => [article.dataset.messageId, article]))
    items.replaceChildren(...questions.flatMap(({id, text}) => {
      const question = loaded.get(id)
      if (!question) { return [entry(0, text, null, () => fetch(id))] }
      return [entry(0, text, question, () => go(question)), ...headings(question).map((node) => entry(node.localName[1], node.textContent, node, () => go(node)))]
    }))
    place = items.children[at] || null
    mark()
    const first = place || items.querySelector("[aria-current]") || items.firstChild
    if (first) { first.tabIndex = 0; place = first }
    if (held) { place?.focus({preventScroll: true}) }
  }
  // The last one that begins above, or at, the top of the view.
  function mark() {
    const edge = log.getBoundingClientRect().top + 60
    let here = null
    for (const item of items.children) {
      if (!item.target) { continue }
      if (item.target.getBoundingClientRect().top > edge) { break }
      here = item
    }
    const before = items.querySelector("[aria-current]")
    if (here === before) { return }
    before?.removeAttribute("aria-current")
    here?.setAttribute("aria-current", "location")
    if (here && !panel.contains(panel.getRootNode().activeElement)) { here.scrollIntoView({block: "nearest"}) }
  }
  function focus(node) {
    if (place) { place.tabIndex = -1 }
    place = node
    node.tabIndex = 0
    node.focus()
  }
  function go(node) {
    if (panel.offsetWidth > frame.clientWidth * 0.8) { close() } // it covers what was asked for
    show(node)
  }
  function fetch(id) {
    asked = id
    items.setAttribute("aria-busy", "true")
    ask({type: "reach", id, far: true})
  }
  let waiting = false
  const later = () => {
    if (waiting || panel.hidden) { return }
    waiting = true
    requestAnimationFrame(() => { waiting = false; mark() })
  }
  function unfold() {
    ask({type: "outline"})
    panel.hidden = false
    open.setAttribute("aria-expanded", "true")
    place = null
    draw()
    log.addEventListener("scroll", later, {passive: true})
    const current = items.querySelector("[aria-current]") || items.firstChild
    if (current) { focus(current) } else { panel.querySelector("button").focus() }
  }
  function close() {
    if (panel.hidden) { return }
    const held = panel.contains(panel.getRootNode().activeElement)
    panel.hidden = true
    open.setAttribute("aria-expanded", "false")
    log.removeEventListener("scroll", later)
    if (held) { (open.hidden ? log : open).focus({preventScroll: true}) }
  }
  function move(event) {
    const all = [...items.children]
    const at = all.indexOf(event.target)
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key]
    if (event.key === "Escape") { close() }
    else if (to !== undefined && all.length && (at >= 0 || event.key === "ArrowDown")) { focus(all.at(to % all.length)) }
    else { return }
    event.preventDefault()
    event.stopPropagation() // Esc elsewhere stops an answer
  }

  return {
    open,
    // What is on the page has changed; `count` is the number of the conversation's questions.
    update(count) {
      if (count !== undefined) { open.hidden = count < 2 }
      if (open.hidden) { close() }
      if (panel.hidden) { return }
      if (count !== undefined && count !== questions.length) { ask({type: "outline"}) }
      draw()
    },
    told(all) {
      const first = !questions.length
      questions = all
      if (panel.hidden) { return }
      draw()
      if (first || place === null || panel.contains(panel.getRootNode().activeElement)) {
        const current = items.querySelector("[aria-current]") || place
        if (current) { focus(current) }
      }
    },
    left() { questions = [] },
    reached(id) {
      if (asked !== id) { return }
      asked = null
      items.removeAttribute("aria-busy")
      const question = find(id)
      if (question) { go(question) }
    },
  }
}
