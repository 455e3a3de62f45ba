// The list of conversations as data.

const DAY = 86400000
function group(time) {
  const midnight = new Date().setHours(0, 0, 0, 0)
  if (time >= midnight) { return "Today" }
  if (time >= midnight - DAY) { return "Yesterday" }
  if (time >= midnight - 7 * DAY) { return "Last 7 days" }
  return time >= midnight - 30 * DAY ? "Last 30 days" : "Older"
}

let rows = null // what came last, also for a view that is made again; the model has what the page began with

export function render({model, el}) {
  const host = el.getRootNode().host
  const list = element("div", {class: "rows"})
  const fresh = element("button", {type: "button", class: "new", onclick: () => open(null)}, icon("plus"), "New chat")
  const end = element("div", {class: "end"})
  const nav = element("nav", {"aria-label": "Conversations"}, list, end)
  const trash = element("button", {type: "button", class: "trash", onclick: () => model.send_msg({type: "trash"})}, icon("bin"), "Trash")
  const seek = search({model, nav, open: (id, at) => open(id, at)})
  el.replaceChildren(element("div", {class: "sidebar"}, seek.box, fresh, nav, seek.results, trash))
  rows ||= {items: JSON.parse(model.items), current: model.current}
  let {items, current} = rows
  let renaming = null
  const narrow = () => window.innerWidth < 600
  // The text box goes there at once and takes the page along.
  function open(id, at) {
    document.dispatchEvent(new CustomEvent("panelist:open", {detail: {id, at}}))
    if (narrow()) { model.send_msg({type: "close"}) }
  }

  function address(id) {
    const url = new URL(location.href)
    if (id) { url.searchParams.set("c", id) } else { url.searchParams.delete("c") }
    return url
  }

  function row({id, title}) {
    if (renaming === id) { return editor(id, title) }
    const link = element("a", {href: address(id).search || "?", class: "title", title, onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
      event.preventDefault()
      open(id)
    }}, title)
    link.dir = "auto"
    if (id === current) { link.setAttribute("aria-current", "page") }
    const rename = () => { renaming = id; draw() }
    const remove = () => model.send_msg({type: "delete", id})
    link.addEventListener("keydown", (event) => {
      if (event.key === "F2") { rename() } else if (event.key === "Delete") { remove() } else { return }
      event.preventDefault()
    })
    return element("div", {class: "row"}, link,
      element("button", {type: "button", "aria-label": `Rename ${title}`, title: "Rename (F2)", onclick: rename}, icon("pencil")),
      element("button", {type: "button", "aria-label": `Delete ${title}`, title: "Delete (Del)", onclick: remove}, icon("bin")),
    )
  }

  function editor(id, title) {
    const field = element("input", {type: "text", value: title, maxlength: "120", "aria-label": "Title"})
    let done = false
    const end = (save) => {
      if (done) { return }
      done = true
      renaming = null
      if (save && field.value.trim() && field.value !== title) { model.send_msg({type: "rename", id, title: field.value}) }
      draw()
      const link = list.querySelector(`a[href$="${CSS.escape(id)}"]`)
      if (link) { link.focus() }
    }
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) { return }
      if (event.key === "Enter") { end(true) } else if (event.key === "Escape") { event.stopPropagation(); end(false) }
    })
    field.addEventListener("blur", () => end(true))
    requestAnimationFrame(() => { field.focus(); field.select() })
    return element("div", {class: "row"}, field)
  }

  // Rows that are as they were stay in place: a click, the keyboard and a title being edited survive a redraw.
  const shown = new Map() // key -> {node, looks}
  function place(key, looks, build) {
    const was = shown.get(key)
    if (was?.looks === looks) { return was.node }
    const node = build()
    const focused = was?.node.contains(el.getRootNode().activeElement)
    was?.node.replaceWith(node)
    if (focused) { node.querySelector("a")?.focus() }
    shown.set(key, {node, looks})
    return node
  }
  function draw() {
    const had = links().indexOf(el.getRootNode().activeElement?.closest(".row")?.querySelector("a"))
    const nodes = new Map()
    const put = (key, looks, build) => nodes.set(key, place(key, looks, build))
    let name = null
    for (const item of items) {
      const heading = group(item.time)
      if (heading !== name) { put(name = heading, "", () => element("h2", {}, heading)) }
      const looks = renaming === item.id ? "editor" : JSON.stringify([item.title, item.id === current])
      put(item.id, looks, () => row(item))
    }
    if (!nodes.size) { put("none", "", () => element("p", {class: "none"}, "Your conversations appear here.")) }
    for (const [key, {node}] of shown) {
      if (!nodes.has(key)) { node.remove(); shown.delete(key) }
    }
    let before = list.firstChild
    for (const node of nodes.values()) {
      if (node === before) { before = before.nextSibling } else { list.insertBefore(node, before) }
    }
    // One row at a time is a stop for Tab; the arrow keys go from row to row.
    stopAt(links().find((link) => link.hasAttribute("aria-current")) || links()[0])
    const lost = had >= 0 && !list.contains(el.getRootNode().activeElement)
    if (lost) { (links()[Math.min(had, links().length - 1)] || fresh).focus() }
  }
  // Whatever scrolls: on a wide window that is the drawer around all of this.
  const near = new IntersectionObserver((seen) => { if (seen.at(-1).isIntersecting) { more() } })
  near.observe(end)
  model.on("remove", () => { near.disconnect(); seek.leave() })
  let asked = 0
  function more() {
    if (asked === items.length) { return } // asked already, and there was nothing more
    asked = items.length
    model.send_msg({type: "more"})
  }
  const links = () => [...list.querySelectorAll("a")]
  function stopAt(link) {
    for (const row of list.querySelectorAll(".row")) {
      for (const stop of row.querySelectorAll("a, button")) { stop.tabIndex = row.contains(link) ? 0 : -1 }
    }
  }
  list.addEventListener("focusin", (event) => { if (event.target.matches("a")) { stopAt(event.target) } })
  list.addEventListener("keydown", (event) => {
    const all = links()
    const at = all.indexOf(event.target.closest(".row")?.querySelector("a"))
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key]
    if (to === undefined || at < 0 || event.target.matches("input")) { return }
    event.preventDefault()
    all[Math.max(0, Math.min(to, all.length - 1))].focus()
  })

  listen(model, (said) => {
    if (said[0] !== "rows") { seek.heard(said); return }
    rows = {items: JSON.parse(said[1]), current: said[2]};
    ({items, current} = rows)
    draw()
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  draw()
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
