// The map of a conversation: its tree, drawn from data. Only what is in view is drawn; from far away all of it as a few
// shapes. Whatever people and models wrote goes through textContent.

const STATUSES = {streaming: "being written", stopped: "stopped", truncated: "cut off", refused: "refused", filtered: "filtered", interrupted: "broke off", failed: "failed", awaiting_approval: "waits for approval"}
const CELL = {width: 204, height: 74} // of a node and the room around it, in px
const BOX = {width: 184, height: 50}
const NEAR = 0.5 // from which scale on there are words
const SCALES = [0.001, 2]
const MORE = 30 // px of a node's right end that select it instead of going there
const STAGE = 260 // px that the stage is high at least, once there is more than fits

const svgElement = (tag, attributes = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value) }
  node.append(...children)
  return node
}

export function render({model, el}) {
  const host = el.getRootNode().host
  let nodes = [] // {id, parent, role, status, model, beginning, at, copy}
  let coming = []
  let tree = layOut([])
  let places = new Map() // id -> place
  let cells = new Map() // "column:row" -> place
  let byRow = [] // places, from left to right
  let lit = new Set() // places of the path on show
  let head = -1
  let shown = null // the conversation
  let selected = -1
  let comparing = -1 // the first of two that are to be compared
  let at = {x: 0, y: 0, scale: 1}
  let placed = false

  // --- what it is made of ------------------------------------------------------------------------------------------
  const about = element("p", {role: "status", "aria-label": "Map"}, "Reading the conversation…")
  const zoom = (label, name, act) => button(label, name, act)
  const bar = element("div", {class: "bar"}, about,
    zoom("Zoom in", "plus", () => zoomBy(1.4)), zoom("Zoom out", "minus", () => zoomBy(1 / 1.4)), zoom("See all of it", "fit", () => fit()))
  const edges = svgElement("path", {class: "edges"})
  const litEdges = svgElement("path", {class: "edges lit"})
  const far = ["user", "assistant", "user lit", "assistant lit", "wrong"].map((name) => svgElement("path", {class: `block ${name}`}))
  const boxes = svgElement("g", {role: "none"})
  const world = svgElement("g", {role: "none"}, edges, litEdges, ...far, boxes)
  const canvas = svgElement("svg", {role: "tree", "aria-label": "Messages", tabindex: "0"}, world)
  const stage = element("div", {class: "stage"}, canvas)
  const who = element("p", {class: "who"})
  const text = element("p", {class: "beginning", dir: "auto"})
  // The second click of a double one does nothing: after a removal it would take along what is selected then.
  const act = (label, does) => element("button", {type: "button", onclick: ({detail}) => { if (selected >= 0 && detail < 2) { does(selected) } }}, label)
  const ways = {
    go: act("Go there", go),
    compare: act("Compare with…", (place) => begin(place)),
    details: act("Details", (place) => model.send_msg({type: "details", id: nodes[place].id})),
    pick: act("Copy to the shown branch", (place) => model.send_msg({type: "pick", id: nodes[place].id})),
    fork: act("Fork from here", (place) => model.send_msg({type: "fork", id: nodes[place].id})),
    prune: act("Remove", prune),
  }
  const card = element("section", {class: "card", "aria-label": "Selected message"}, who, text, element("div", {class: "ways"}, ...Object.values(ways)))
  const notices = element("div", {class: "notice", role: "status", "aria-label": "Notices"})
  const gone = element("ul", {"aria-label": "Removed messages"})
  const goneTitle = element("summary")
  const removed = element("details", {hidden: ""}, goneTitle, gone)
  const drawing = element("div", {class: "drawing"}, bar, stage, card, removed)
  const branches = branchesView({back: leaveBranches})
  el.replaceChildren(drawing, branches.node, notices)

  // --- names -------------------------------------------------------------------------------------------------------
  const writer = (node) => node.role === "user" ? "You" : node.model || "Assistant"
  const beginning = (node) => node.beginning || (node.status === "streaming" ? "…" : "No text")
  const notes = (node) => [STATUSES[node.status], node.copy ? "copy" : ""].filter(Boolean)
  const named = (place) => {
    const node = nodes[place]
    const more = [...notes(node), lit.has(place) ? "on the shown branch" : "", place === head ? "its end" : ""]
    return [`${writer(node)}: ${beginning(node)}`, ...more].filter(Boolean).join(", ")
  }
  // SVG cuts no text: as much of the words as there is room for.
  const ruler = document.createElement("canvas").getContext("2d")
  function cut(words, px, size) {
    ruler.font = `${size}px ${getComputedStyle(host).fontFamily}`
    const wide = (text) => ruler.measureText(text).width
    if (wide(words) <= px) { return words }
    const letters = [...words]
    let [fits, most] = [0, letters.length]
    while (most - fits > 1) {
      const middle = (fits + most) >> 1
      if (wide(`${letters.slice(0, middle).join("")}…`) <= px) { fits = middle } else { most = middle }
    }
    return `${letters.slice(0, fits).join("").trimEnd()}…`
  }

  // --- drawing -----------------------------------------------------------------------------------------------------
  const left = (place) => tree.columns[place] * CELL.width
  const top = (place) => tree.rows[place] * CELL.height
  const size = () => ({width: canvas.clientWidth || 1, height: canvas.clientHeight || 1})
  const drawn = new Map() // place -> node of the page
  let waiting = 0
  const later = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; draw() }) }

  function inView() {
    const {width, height} = size()
    const first = Math.max(0, Math.floor(-at.y / at.scale / CELL.height) - 1)
    const last = Math.min(byRow.length - 1, Math.ceil((height - at.y) / at.scale / CELL.height))
    const from = -at.x / at.scale - CELL.width
    const to = (width - at.x) / at.scale
    const found = []
    const lines = []
    for (let row = first; row <= last; row++) {
      for (const place of byRow[row]) {
        const parent = nodes[place].parent
        const x = left(place)
        if (x >= from && x <= to) { found.push(place) }
        // A line comes from the row above, and from the left.
        if (parent >= 0 && x >= from && left(parent) <= to) { lines.push(place) }
      }
    }
    return {found, lines}
  }
  function line(place) {
    const parent = nodes[place].parent
    const [x1, y1, x2, y2] = [left(parent) + 22, top(parent) + BOX.height, left(place) + 22, top(place)]
    return x1 === x2 ? `M${x1} ${y1}V${y2}` : `M${x1} ${y1}v4q0 8 8 8H${x2 - 8}q8 0 8 8V${y2}`
  }
  function box(place) {
    const node = nodes[place]
    const words = svgElement("text", {class: "words", x: 12, y: 37, "aria-hidden": "true"})
    words.textContent = cut(beginning(node), BOX.width - 22, 12.5)
    const by = svgElement("text", {class: "by", x: 12, y: 18, "aria-hidden": "true"})
    by.textContent = cut([writer(node), ...notes(node)].join(" · "), BOX.width - 42, 11.5)
    // Beside it and not in it: what is cut is no part of its name.
    return svgElement("g", {role: "none"},
      svgElement("g", {role: "treeitem", id: `node-${place}`, "data-id": node.id},
        svgElement("rect", {width: BOX.width, height: BOX.height, rx: 10}),
        svgElement("path", {class: "more", d: `M${BOX.width - 22} 15h.01M${BOX.width - 16} 15h.01M${BOX.width - 10} 15h.01`})),
      by, words)
  }
  // What can change of a node that is drawn.
  function dress(place, shape) {
    const node = nodes[place]
    const item = shape.firstChild
    const family = node.parent < 0 ? tree.roots : tree.children[node.parent]
    shape.setAttribute("class", ["node", node.status, node.role, lit.has(place) ? "lit" : "", place === head ? "head" : "", place === selected ? "selected" : "", place === comparing ? "compared" : ""].join(" "))
    shape.setAttribute("transform", `translate(${left(place)} ${top(place)})`)
    for (const [name, value] of Object.entries({
      "data-status": node.status, "aria-label": named(place), "aria-selected": place === selected, "aria-level": tree.rows[place] + 1,
      "aria-setsize": family.length, "aria-posinset": family.indexOf(place) + 1,
    })) { item.setAttribute(name, value) }
    if (tree.children[place].length) { item.setAttribute("aria-expanded", "true") }
    if (lit.has(place)) { item.setAttribute("aria-current", place === head ? "location" : "true") } else { item.removeAttribute("aria-current") }
  }
  function draw() {
    const near = at.scale >= NEAR
    const {found, lines} = inView()
    world.setAttribute("transform", `translate(${at.x} ${at.y}) scale(${at.scale})`)
    canvas.classList.toggle("far", !near)
    const [plain, shining] = [[], []]
    for (const place of lines) { (lit.has(place) ? shining : plain).push(line(place)) }
    edges.setAttribute("d", plain.join(""))
    litEdges.setAttribute("d", shining.join(""))
    const shapes = far.map(() => [])
    if (!near) {
      for (const place of found) {
        const {role, status} = nodes[place]
        const kind = ["failed", "interrupted"].includes(status) && !lit.has(place) ? 4 : (role === "user" ? 0 : 1) + (lit.has(place) ? 2 : 0)
        shapes[kind].push(`M${left(place)} ${top(place)}h${BOX.width}v${BOX.height}h${-BOX.width}z`)
      }
    }
    far.forEach((path, kind) => path.setAttribute("d", shapes[kind].join("")))
    const wanted = new Set(near ? found : [])
    if (selected >= 0) { wanted.add(selected) }
    for (const [place, item] of drawn) { if (!wanted.has(place)) { item.remove(); drawn.delete(place) } }
    for (const place of [...wanted].sort((one, other) => one - other)) {
      const known = drawn.get(place)
      const item = known ?? box(place)
      dress(place, item)
      if (!known) { drawn.set(place, item); boxes.append(item) }
    }
    if (selected >= 0) { canvas.setAttribute("aria-activedescendant", `node-${selected}`) } else { canvas.removeAttribute("aria-activedescendant") }
  }

  // --- moving about ------------------------------------------------------------------------------------------------
  const clamp = (value, [least, most]) => Math.min(most, Math.max(least, value))
  function zoomBy(factor, x = size().width / 2, y = size().height / 2) {
    const scale = clamp(at.scale * factor, SCALES)
    at = {x: x - (x - at.x) * scale / at.scale, y: y - (y - at.y) * scale / at.scale, scale}
    later()
  }
  const whole = () => ({width: (tree.width - 1) * CELL.width + BOX.width, height: (tree.depth - 1) * CELL.height + BOX.height})
  function fit() {
    const {width, height} = size()
    const all = whole()
    const scale = clamp(Math.min((width - 24) / all.width, (height - 24) / all.height, 1), SCALES)
    at = {x: (width - all.width * scale) / 2, y: (height - all.height * scale) / 2, scale}
    later()
  }
  // A conversation that can be read as a whole is shown as a whole; of a larger one the end of the path.
  function begins() {
    const {width, height} = size()
    const all = whole()
    if (Math.min((width - 24) / all.width, (height - 24) / all.height) >= NEAR) { fit(); return }
    const place = Math.max(0, head)
    at = {x: width / 2 - left(place) - BOX.width / 2, y: height * 0.7 - top(place), scale: 1}
    if (all.width + 24 <= width) { at.x = (width - all.width) / 2 }
    later()
  }
  function reveal(place) {
    const {width, height} = size()
    const [x, y] = [left(place) * at.scale + at.x, top(place) * at.scale + at.y]
    const [w, h] = [BOX.width * at.scale, BOX.height * at.scale]
    if (x < 8) { at.x += 8 - x } else if (x + w > width - 8) { at.x -= x + w - width + 8 }
    if (y < 8) { at.y += 8 - y } else if (y + h > height - 8) { at.y -= y + h - height + 8 }
  }
  function resize() {
    const all = whole()
    const room = Math.max(STAGE, window.innerHeight * (window.innerWidth < 700 ? 0.42 : 0.56))
    stage.style.height = `${Math.round(Math.min(all.height + 24, room))}px`
  }

  // --- choosing ----------------------------------------------------------------------------------------------------
  function select(place) {
    selected = place
    if (place >= 0) { reveal(place) }
    tell()
    later()
  }
  function tell() {
    const node = nodes[selected]
    card.hidden = !node
    if (!node) { return }
    const when = new Date(node.at).toLocaleString(undefined, {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"})
    who.textContent = [writer(node), ...notes(node), when].join(" · ")
    text.textContent = beginning(node)
    const unfinished = ["streaming", "awaiting_approval"].includes(node.status)
    ways.compare.disabled = nodes.length < 2
    ways.pick.disabled = unfinished || nodes[head]?.role === node.role
    ways.pick.title = ways.pick.disabled && !unfinished ? (node.role === "user" ? "A question goes behind an answer, and the shown branch ends with a question." : "An answer goes behind a question, and the shown branch ends with an answer.") : ""
    ways.fork.disabled = node.role === "user" || unfinished
    ways.fork.title = node.role === "user" ? "A conversation is forked behind an answer." : ""
    ways.details.disabled = node.role === "user"
    ways.details.title = node.role === "user" ? "Only answers have details." : ""
    ways.prune.disabled = unfinished
    // What is disabled hears no key any more, not even Esc.
    if (el.getRootNode().activeElement?.disabled) { canvas.focus({preventScroll: true}) }
  }
  function go(place) { model.send_msg({type: "go", id: nodes[place].id}) }
  function prune(place) { model.send_msg({type: "prune", id: nodes[place].id}) }
  function begin(place) {
    comparing = place
    select(place)
    canvas.focus({preventScroll: true})
    say()
  }
  function end() {
    comparing = -1
    say()
    later()
  }
  let compared = null // the ids of which the answer is awaited
  function compare(other) {
    if (other === comparing) { return }
    compared = [nodes[comparing].id, nodes[other].id]
    drawing.hidden = true
    branches.wait()
    model.send_msg({type: "compare", ids: compared})
    end()
  }
  function leaveBranches() {
    compared = null
    branches.hide()
    drawing.hidden = false
    canvas.focus({preventScroll: true})
    later()
  }
  const choose = (place) => { if (comparing >= 0) { compare(place) } else { go(place) } }

  function say() {
    const ends = tree.children.reduce((sum, {length}) => sum + !length, 0)
    const counted = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`
    if (comparing >= 0) { about.textContent = "Choose the other message: click it, or go there with the arrows and press Enter. Esc ends this." }
    else if (!nodes.length) { about.textContent = "There is nothing to draw yet. Ask something first." }
    else { about.textContent = ends > 1 ? `${counted(nodes.length, "message")} on ${ends.toLocaleString("en")} branches.` : `${counted(nodes.length, "message")}, no other branches yet. Edit or regenerate one to begin another.` }
  }

  // --- the pointer -------------------------------------------------------------------------------------------------
  const pointers = new Map() // id -> {x, y}
  let moved = false
  const local = ({clientX, clientY}) => {
    const {left: x, top: y} = canvas.getBoundingClientRect()
    return {x: clientX - x, y: clientY - y}
  }
  function hit({x, y}) {
    const [wx, wy] = [(x - at.x) / at.scale, (y - at.y) / at.scale]
    const [column, row] = [Math.floor(wx / CELL.width), Math.floor(wy / CELL.height)]
    const inside = wx - column * CELL.width <= BOX.width && wy - row * CELL.height <= BOX.height
    return {place: inside ? cells.get(`${column}:${row}`) ?? -1 : -1, rest: BOX.width - (wx - column * CELL.width)}
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) { return }
    pointers.set(event.pointerId, local(event))
    if (pointers.size === 1) { moved = false }
  })
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId)
    if (!before) { return }
    const now = local(event)
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point)
    if (!moved && !others.length && Math.hypot(now.x - before.x, now.y - before.y) < 5) { return }
    moved = true
    canvas.setPointerCapture(event.pointerId)
    pointers.set(event.pointerId, now)
    if (others.length) { // two fingers: what is between them stays between them
      const [other] = others
      const was = Math.hypot(before.x - other.x, before.y - other.y)
      zoomBy(Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, was), (now.x + other.x) / 2, (now.y + other.y) / 2)
    }
    const share = others.length ? 2 : 1
    at.x += (now.x - before.x) / share
    at.y += (now.y - before.y) / share
    later()
  })
  for (const ended of ["pointerup", "pointercancel"]) { canvas.addEventListener(ended, (event) => pointers.delete(event.pointerId)) }
  canvas.addEventListener("click", (event) => {
    if (moved && event.detail) { moved = false; return }
    const id = event.target.closest?.("[data-id]")?.dataset.id
    const {place, rest} = hit(local(event))
    const chosen = id === undefined ? place : places.get(id) ?? -1
    if (chosen < 0) { return }
    const near = at.scale >= NEAR
    if (comparing >= 0) { compare(chosen) }
    else if (event.shiftKey || (near && event.target.closest?.("[data-id]") && rest < MORE && event.detail)) { select(chosen) }
    else { select(chosen); go(chosen) }
  })
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault()
    const px = event.deltaMode ? 16 : 1
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      at.x -= (event.deltaX || event.deltaY) * px
      later()
    } else {
      const {x, y} = local(event)
      zoomBy(Math.exp(-event.deltaY * px * (event.ctrlKey ? 0.01 : 0.0016)), x, y)
    }
  }, {passive: false})

  // --- the keyboard ------------------------------------------------------------------------------------------------
  function neighbour(key) {
    if (selected < 0) { return Math.max(0, head) }
    const below = tree.children[selected]
    const row = byRow[tree.rows[selected]]
    switch (key) {
      case "ArrowUp": return nodes[selected].parent
      case "ArrowDown": return below.find((child) => lit.has(child)) ?? below.at(-1) ?? -1
      case "ArrowLeft": return row[row.indexOf(selected) - 1] ?? -1
      case "ArrowRight": return row[row.indexOf(selected) + 1] ?? -1
      case "Home": return 0
      default: return head
    }
  }
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.metaKey || event.ctrlKey) { return }
    if (/^Arrow|^Home$|^End$/.test(event.key)) {
      const next = neighbour(event.key)
      if (next >= 0 && nodes.length) { select(next) }
    } else if (["Enter", " "].includes(event.key)) { if (selected >= 0) { choose(selected) } }
    else if (["Delete", "Backspace"].includes(event.key)) { if (selected >= 0 && comparing < 0 && !event.repeat) { prune(selected) } }
    else if (["+", "="].includes(event.key)) { zoomBy(1.4) }
    else if (event.key === "-") { zoomBy(1 / 1.4) }
    else if (event.key === "0") { fit() }
    else { return }
    event.preventDefault()
    event.stopPropagation()
  })
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") { return }
    if (comparing >= 0) { end() } else if (!branches.node.hidden) { leaveBranches() } else { return }
    event.preventDefault()
    event.stopPropagation()
  })

  // --- what the server says ----------------------------------------------------------------------------------------
  function take({head: headId, conversation}) {
    const before = nodes[selected]
    const first = nodes[comparing]
    nodes = coming
    coming = []
    tree = layOut(nodes.map(({parent}) => parent))
    places = new Map(nodes.map(({id}, place) => [id, place]))
    cells = new Map(nodes.map((_, place) => [`${tree.columns[place]}:${tree.rows[place]}`, place]))
    byRow = Array.from({length: tree.depth}, () => [])
    nodes.forEach((_, place) => byRow[tree.rows[place]].push(place))
    for (const row of byRow) { row.sort((one, other) => tree.columns[one] - tree.columns[other]) }
    const was = head >= 0
    head = places.get(headId) ?? -1
    lit = new Set()
    for (let place = head; place >= 0; place = nodes[place].parent) { lit.add(place) }
    drawn.forEach((item) => item.remove())
    drawn.clear()
    comparing = places.get(first?.id) ?? -1
    const other = conversation !== shown
    // What was selected may be gone; then what it followed, as far as that is there.
    selected = other ? head : places.get(before?.id) ?? (was && before ? places.get(idOf(before)) ?? head : head)
    shown = conversation
    resize()
    if (!placed || other) {
      placed = true
      begins()
    } else if (selected >= 0) { reveal(selected) }
    tell()
    say()
    draw()
  }
  const idOf = ({parentId}) => parentId
  const handlers = {
    opened() {
      placed = false
      notices.replaceChildren()
      if (!branches.node.hidden) { leaveBranches() }
      comparing = -1
      selected = head
      canvas.focus({preventScroll: true})
    },
    nodes({start, count, rows, ...more}) {
      if (!start) { coming = [] }
      if (coming.length !== start) { return } // the beginning of this tree was overtaken by another
      for (const [id, parent, role, status, name, words, when, copy] of rows) {
        coming.push({id, parent, parentId: coming[parent]?.id, role, status, model: name, beginning: words, at: when, copy})
      }
      if (coming.length === count) { take(more) }
    },
    empty() {
      coming = []
      take({head: null, conversation: null})
      handlers.removed({rows: []})
    },
    removed({rows}) {
      const held = gone.contains(el.getRootNode().activeElement)
      removed.hidden = !rows.length
      goneTitle.textContent = `Removed messages (${rows.length.toLocaleString("en")})`
      gone.replaceChildren(...rows.map(({id, text: words, count, until}) => {
        const left = Math.max(1, Math.ceil((until - Date.now()) / 86400000))
        const about = `${count === 1 ? "1 message" : `${count.toLocaleString("en")} messages`}, kept for another ${left === 1 ? "day" : `${left} days`}`
        return element("li", {},
          element("div", {}, element("span", {dir: "auto"}, words || "No text"), element("small", {}, about)),
          element("button", {type: "button", "aria-label": `Restore ${words || "No text"}`, onclick: () => model.send_msg({type: "restore", id})}, "Restore"))
      }))
      if (held) { (gone.querySelector("button") ?? canvas).focus({preventScroll: true}) }
    },
    compared({ids, ...found}) {
      if (!compared || ids[0] !== compared[0] || ids[1] !== compared[1]) { return }
      const common = nodes[places.get(found.common)]
      branches.show(found, common ? `After “${beginning(common)}”.` : "They differ from the beginning.")
    },
    notice({text: words, kind, undo}) {
      const close = () => {
        const held = notices.contains(el.getRootNode().activeElement)
        notices.replaceChildren()
        if (held) { canvas.focus({preventScroll: true}) }
      }
      notices.replaceChildren(element("span", {class: kind}, words))
      if (undo) { notices.append(element("button", {type: "button", onclick: () => { model.send_msg({type: "undo", mark: undo}); close() }}, "Undo")) }
      notices.append(element("button", {type: "button", "aria-label": "Dismiss", onclick: close}, "✕"))
    },
  }
  listen(model, (msg) => handlers[msg.type](msg))

  const fresh = new ResizeObserver(() => { // a dialog has no size before it is open
    if (canvas.clientWidth && nodes.length && !placed) { placed = true; begins() } else { later() }
  })
  fresh.observe(stage)
  window.addEventListener("resize", resize)
  model.on("remove", () => {
    fresh.disconnect()
    window.removeEventListener("resize", resize)
    cancelAnimationFrame(waiting)
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  setTimeout(() => { // Bokeh would send this component's entire state along
    model.send_msg({type: "ready"})
    canvas.focus({preventScroll: true})
  })
}
