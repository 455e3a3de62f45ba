// The list of conversations as data, of which the page has the part that is in view.

let rows = null // what came last, also for a view that is made again; the model has what the page began with
const EMPTY = {sections: [], first: 0, rows: [], folders: [], tags: [], archived: false, tag: null}

export function render({model, el}) {
  const host = el.getRootNode().host
  const touch = matchMedia("(hover: none)").matches
  const tell = (msg) => model.send_msg(msg)
  const list = element("div", {class: "rows"})
  const fresh = element("button", {type: "button", class: "new", onclick: () => open(null)}, icon("plus"), "New chat")
  const aside = button("Temporary chat", "ghost", () => open("temporary:new"), {title: "Temporary chat: never saved (Ctrl + Shift + L)"})
  const folder = button("New folder", "addfolder", () => askName(el, "New folder", (name) => makeFolder(name)))
  const tagBar = element("div", {class: "tags", role: "group", "aria-label": "Tags", hidden: ""})
  const filter = element("div", {class: "filter", hidden: ""})
  const nav = element("nav", {"aria-label": "Conversations"}, list)
  const foot = (name, glyph, onclick) => element("button", {type: "button", class: "foot", onclick}, icon(glyph), name)
  const feet = element("div", {class: "feet"}, foot("Archive", "archive", () => look({archived: true})), foot("Trash", "bin", () => tell({type: "trash"})), foot("Usage", "chart", () => tell({type: "usage"})))
  const seek = search({model, nav, open: (id, at) => open(id, at)})
  const chosen = selecting({ask: tell, changed: () => { feet.hidden = chosen.on; draw() }, act: (what, ids) => arrange(what, ids)})
  el.replaceChildren(element("div", {class: "sidebar"}, seek.box, element("div", {class: "begin"}, fresh, aside, folder), tagBar, filter, nav, seek.results, chosen.bar, feet))
  rows ||= {items: {...EMPTY, ...JSON.parse(model.items)}, current: model.current, begins: null}
  let {items, current, begins} = rows
  let space = geometryOf(items.sections, touch)
  let renaming = null // the id of what is given another name
  let wanted = null // the row that gets the keyboard when it is here
  const narrow = () => window.innerWidth < 600
  // The text box goes there at once and takes the page along.
  function open(id, at, folder) {
    document.dispatchEvent(new CustomEvent("panelist:open", {detail: {id, at, folder}}))
    if (narrow()) { tell({type: "close"}) }
  }

  // What of the list is seen: the server sends that, and again whenever something in it changes.
  let view = {archived: false, tag: null}
  let asking = false
  const midnight = () => new Date().setHours(0, 0, 0, 0)
  let since = null
  function see(type, first, count) {
    asking = true
    since = midnight()
    tell({type, first, count, midnight: since, archived: view.archived, tag: view.tag})
  }
  function look(other) {
    view = {archived: false, tag: null, ...other}
    nav.scrollTop = 0
    chosen.end()
    chosen.inArchive(view.archived)
    see("see", 0, 60)
  }
  const inView = () => {
    const height = nav.clientHeight || 600
    const top = nav.scrollTop - list.offsetTop
    return [top - OVERSCAN * space.rowHeight, top + height + OVERSCAN * space.rowHeight]
  }

  const titles = () => new Map(items.rows.map((row) => [row.id, row]))
  const named = (ids) => ids.length === 1 ? `“${titles().get(ids[0])?.title ?? "1 conversation"}”` : `${ids.length.toLocaleString()} conversations`
  function arrange(what, ids) {
    const done = (msg) => { tell({...msg, ids}); chosen.end() }
    const known = titles()
    const one = known.get(ids[0])
    if (what === "move") {
      const into = (id) => done({type: "move", folder: id})
      askFolder(el, `Move ${named(ids)} to`, items.folders, ids.length === 1 ? one?.folder ?? null : undefined, into, () => askName(el, "New folder", (name) => makeFolder(name, null, into)))
    } else if (what === "tag") {
      const shared = (one?.tags ?? []).filter((tag) => ids.every((id) => known.get(id)?.tags?.includes(tag)))
      const all = new Set(ids.length === 1 ? shared : ids.flatMap((id) => known.get(id)?.tags ?? []))
      askTags(el, `Tags of ${named(ids)}`, [...all], items.tags, (add, remove) => { if (add.length || remove.length) { done({type: "tag", add, remove}) } })
    } else if (what === "export") { done({type: "export", kind: ids.length === 1 ? "markdown" : "json"}) }
    else if (what === "archive") { done({type: "archive", on: !view.archived}) }
    else if (what === "delete" && ids.length === 1) { tell({type: "delete", id: ids[0]}); chosen.end() }
    else { done({type: what}) }
  }
  let made = () => {}
  function makeFolder(name, parent = null, then = () => {}) {
    made = then
    tell({type: "add_folder", name, parent})
  }

  function address(id) {
    const url = new URL(location.href)
    if (id) { url.searchParams.set("c", id) } else { url.searchParams.delete("c") }
    return url
  }
  const indexOf = (id) => items.first + items.rows.findIndex((row) => row.id === id)

  function more(name, items) {
    const dots = element("button", {type: "button", class: "more-of", "aria-label": `More for ${name}`, "aria-haspopup": "menu", "aria-expanded": "false", title: "More"}, icon("dots"))
    dots.addEventListener("click", () => openMenu(el, dots, name, items()))
    return dots
  }
  function menuOf({id, title, pinned, archived}) {
    const on = (type, on) => () => tell({type, on, ids: [id]})
    return [
      !archived && {name: pinned ? "Unpin" : "Pin", icon: "pin", act: on("pin", !pinned)},
      {name: archived ? "Take out of the archive" : "Archive", icon: "archive", act: on("archive", !archived)},
      {name: "Move to…", icon: "folder", act: () => arrange("move", [id])},
      {name: "Tags…", icon: "tag", act: () => arrange("tag", [id])},
      {name: "Rename", icon: "pencil", act: () => rename(id)},
      {name: "Export", icon: "down", act: () => arrange("export", [id])},
      {name: "Select", icon: "done", act: () => chosen.begin(id, indexOf(id))},
      null,
      {name: "Delete", icon: "bin", class: "danger", act: () => remove(id)},
    ].filter((item) => item !== false)
  }
  function menuOfFolder({id, name, depth}) {
    const inside = (folder) => { for (let at = folder; at; at = items.folders.find((one) => one.id === at.parent)) { if (at.id === id) { return true } } }
    return [
      {name: "New chat here", icon: "plus", act: () => open(null, null, id)},
      {name: "New folder in it", icon: "addfolder", act: () => askName(el, `New folder in ${name}`, (typed) => makeFolder(typed, id))},
      {name: "Settings", icon: "edit", act: () => tell({type: "settings", id})},
      {name: "Rename", icon: "pencil", act: () => rename(id)},
      {name: "Move to…", icon: "folder", act: () => askFolder(el, `Move the folder “${name}” to`, items.folders.filter((one) => !inside(one)), items.folders.find((one) => one.id === id)?.parent ?? null, (parent) => tell({type: "move_folder", id, parent}))},
      null,
      {name: "Remove the folder", icon: "bin", class: "danger", act: () => tell({type: "remove_folder", id})},
    ]
  }
  const rename = (id) => { renaming = id; draw() }
  const remove = (id) => tell({type: "delete", id})

  function row(item, depth) {
    const {id, title, tags} = item
    const save = (typed) => tell({type: "rename", id, title: typed})
    if (renaming === id) { return editor(id, title, "Title", 120, save) }
    const link = element("a", {href: address(id).search || "?", class: "title stop", title, onclick: (event) => {
      if (chosen.on) { event.preventDefault(); chosen.toggle(id, indexOf(id), event.shiftKey); return }
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
      event.preventDefault()
      open(id)
    }}, title)
    link.dir = "auto"
    if (id === current) { link.setAttribute("aria-current", "page") }
    link.addEventListener("keydown", (event) => {
      if (event.key === "F2") { rename(id) }
      else if (event.key === "Delete") { if (chosen.on) { arrange("delete", chosen.ids()) } else { remove(id) } }
      else if (event.key === " " && chosen.on) { chosen.toggle(id, indexOf(id), event.shiftKey) }
      else { return }
      event.preventDefault()
    })
    const node = element("div", {class: "row"})
    node.style.setProperty("--depth", depth)
    if (chosen.on) {
      const box = element("input", {type: "checkbox", "aria-label": `Select ${title}`, onclick: (event) => { chosen.toggle(id, indexOf(id), event.shiftKey) }})
      box.checked = chosen.has(id)
      node.append(box, link)
    } else {
      const chips = (tags ?? []).slice(0, 1).map((tag) => element("button", {type: "button", class: "chip", "aria-label": `Show what is tagged ${tag}`, title: tags.map((each) => `#${each}`).join(" "), onclick: () => look({tag})}, `#${tag}${tags.length > 1 ? " …" : ""}`))
      node.append(link, ...chips, more(title, () => menuOf(item)))
    }
    draggable(node, CONVERSATIONS, () => chosen.has(id) ? chosen.ids() : [id])
    return node
  }

  function heading(block) {
    if (block.kind !== "folder") {
      const node = element("h2", {}, block.name)
      if (block.kind === "day" && items.folders.length) { droppable(node, drop(null)) }
      return node
    }
    const folder = items.folders.find((one) => one.id === block.name)
    const save = (typed) => tell({type: "rename_folder", id: folder.id, name: typed})
    if (renaming === folder.id) { return editor(folder.id, folder.name, "Name of the folder", 80, save) }
    const unfold = (on) => tell({type: "unfold", id: folder.id, on})
    const fold = element("button", {type: "button", class: "fold stop", "aria-expanded": String(folder.open), title: folder.name, onclick: () => unfold(!folder.open)}, icon("turned"), icon("folder"), element("span", {dir: "auto"}, folder.name))
    fold.addEventListener("keydown", (event) => {
      if (event.key === "F2") { rename(folder.id) }
      else if (event.key === "ArrowRight" || event.key === "ArrowLeft") { unfold(event.key === "ArrowRight") }
      else { return }
      event.preventDefault()
    })
    const node = element("div", {class: "row folder"}, fold, element("small", {}, block.holds ? block.holds.toLocaleString() : ""), more(folder.name, () => menuOfFolder(folder)))
    if (begins === folder.id && !current) { node.classList.add("begins") }
    node.style.setProperty("--depth", block.depth)
    draggable(node, FOLDER, () => folder.id)
    droppable(node, drop(folder.id))
    return node
  }
  const drop = (id) => (type, what) => {
    if (type === CONVERSATIONS) { tell({type: "move", ids: what, folder: id}); chosen.end() }
    else if (what !== id) { tell({type: "move_folder", id: what, parent: id}) }
  }

  function editor(id, was, label, most, save) {
    const field = element("input", {type: "text", value: was, maxlength: String(most), "aria-label": label})
    let done = false
    const end = (keep) => {
      if (done) { return }
      done = true
      renaming = null
      if (keep && field.value.trim() && field.value !== was) { save(field.value) }
      draw()
      shown.get(id)?.node.querySelector(".stop")?.focus()
    }
    field.addEventListener("keydown", (event) => {
      event.stopPropagation()
      if (event.isComposing) { return }
      if (event.key === "Enter") { end(true) } else if (event.key === "Escape") { end(false) }
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
    const active = el.getRootNode().activeElement
    const held = was?.node.contains(active) && (active.matches(".more-of, [type=checkbox]") ? active.className || "[type=checkbox]" : "stop")
    was?.node.replaceWith(node)
    if (held) { (node.querySelector(held.startsWith("[") ? held : `.${held.split(" ")[0]}`) || node.querySelector(".stop"))?.focus({preventScroll: true}) }
    shown.set(key, {node, looks})
    return node
  }
  function draw() {
    const active = el.getRootNode().activeElement
    const had = stops().findIndex((stop) => stop.closest(".row")?.contains(active))
    const nodes = new Map()
    const put = (key, top, looks, build) => {
      const node = place(key, looks, build)
      node.style.top = `${top}px`
      nodes.set(key, node)
    }
    const [from, to] = inView()
    let low = Infinity
    let high = 0
    for (const block of space.blocks) {
      const end = block.rows + block.count * space.rowHeight
      if (block.top > to || end < from) { continue }
      const isOf = items.folders.find((one) => one.id === block.name)
      const looks = JSON.stringify([block.name, block.depth, block.holds, isOf, renaming === block.name, begins, current === null, items.folders.length > 0])
      if (block.rows > from) { put(block.kind === "folder" ? block.name : `${block.kind} ${block.name}`, block.top, looks, () => heading(block)) }
      const [first, last] = space.within(block, from, to)
      if (last > first) { low = Math.min(low, first); high = Math.max(high, last) }
      const depth = block.kind === "folder" ? block.depth + 1 : 0
      for (let index = first; index < last; index++) {
        const item = items.rows[index - items.first]
        if (!item) { continue }
        const looks = renaming === item.id ? "editor" : JSON.stringify([item, depth, item.id === current, chosen.on, chosen.has(item.id)])
        put(item.id, space.topOf(index), looks, () => row(item, depth))
      }
    }
    const holder = active && [...shown].find(([, {node}]) => node.contains(active))
    if (holder && !nodes.has(holder[0]) && (items.rows.some((item) => item.id === holder[0]))) { // scrolled out of view with the keyboard in it
      nodes.set(holder[0], holder[1].node)
    }
    const none = !space.count && !space.blocks.length
    if (none) { put("none", 0, JSON.stringify(view), () => element("p", {class: "none"}, view.archived ? "The archive is empty." : view.tag ? "Nothing has this tag." : "Your conversations appear here.")) }
    for (const [key, {node}] of shown) {
      if (!nodes.has(key)) { node.remove(); shown.delete(key) }
    }
    list.style.height = none ? "auto" : `${space.height}px`
    let before = list.firstChild
    for (const node of nodes.values()) {
      if (node === before) { before = before.nextSibling } else { list.insertBefore(node, before) }
    }
    // One row at a time is a stop for Tab; the arrow keys go from row to row.
    const now = el.getRootNode().activeElement
    stopAt(stops().find((stop) => stop.closest(".row").contains(now)) || stops().find((stop) => stop.hasAttribute("aria-current")) || stops()[0])
    if (wanted !== null && items.rows[wanted - items.first]) {
      const node = shown.get(items.rows[wanted - items.first].id)?.node
      if (node) { wanted = null; node.querySelector(".stop").focus() }
    } else if (had >= 0 && !list.contains(now)) { (stops()[Math.min(had, stops().length - 1)] || fresh).focus({preventScroll: true}) }
    if (!asking && low < high && (low < items.first || high > items.first + items.rows.length)) {
      see("see", Math.max(0, low - AHEAD), high - low + 2 * AHEAD)
    }
  }
  function drawAround() {
    const fits = view.archived ? "Archive" : view.tag ? `#${view.tag}` : null
    filter.hidden = fits === null
    filter.replaceChildren(element("span", {dir: "auto"}, fits ?? ""), button("Back to all conversations", "close", () => look({})))
    const tags = [...items.tags]
    tagBar.hidden = !tags.length || view.archived
    if (tagBar.dataset.tags !== JSON.stringify([tags, view.tag])) {
      tagBar.dataset.tags = JSON.stringify([tags, view.tag])
      tagBar.replaceChildren(...tags.map((tag) => element("button", {type: "button", class: "chip", "aria-pressed": String(tag === view.tag), onclick: () => look(tag === view.tag ? {} : {tag})}, `#${tag}`)))
    }
  }
  let frame = 0
  const soon = () => { frame ||= requestAnimationFrame(() => { frame = 0; draw() }) }
  nav.addEventListener("scroll", soon, {passive: true})
  const sizes = new ResizeObserver(soon)
  sizes.observe(nav)
  model.on("remove", () => { sizes.disconnect(); seek.leave() })

  const stops = () => [...list.querySelectorAll(".stop")]
  function stopAt(stop) {
    for (const row of list.querySelectorAll(".row")) {
      for (const each of row.querySelectorAll("a, button, input")) { each.tabIndex = row.contains(stop) ? 0 : -1 }
    }
  }
  list.addEventListener("focusin", (event) => { if (event.target.matches(".stop")) { stopAt(event.target) } })
  list.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=text]")) { return }
    if (event.key === "a" && (event.ctrlKey || event.metaKey) && space.count) {
      event.preventDefault()
      chosen.all(Math.min(space.count, model.esm_constants.most))
      return
    }
    if (event.key === "Escape" && chosen.on) {
      event.preventDefault()
      event.stopPropagation() // elsewhere it stops an answer
      chosen.end()
      return
    }
    const all = stops()
    const at = all.indexOf(event.target.closest(".row")?.querySelector(".stop"))
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key]
    if (to === undefined || at < 0) { return }
    event.preventDefault()
    if (event.key === "End" && space.count) { wanted = space.count - 1; nav.scrollTop = space.height; draw(); return }
    if (event.key === "Home") { nav.scrollTop = 0; draw(); stops()[0].focus(); return }
    all[Math.max(0, Math.min(to, all.length - 1))].focus()
  })

  // What is at the top of the view stays there, whatever came above it.
  function take(said) {
    const [from] = inView()
    const top = from + OVERSCAN * space.rowHeight
    const at = nav.scrollTop > 0 ? items.rows.findIndex((_, index) => space.topOf(items.first + index) >= top) : -1
    const kept = at < 0 ? null : {id: items.rows[at].id, away: space.topOf(items.first + at) - nav.scrollTop}
    const same = items.archived === said.archived && items.tag === said.tag
    items = said
    space = geometryOf(items.sections, touch)
    const now = kept && same ? items.rows.findIndex((item) => item.id === kept.id) : -1
    list.style.height = `${space.height}px`
    if (now >= 0) { nav.scrollTop = space.topOf(items.first + now) - kept.away }
  }
  listen(model, (said) => {
    if (said[0] === "ids") { chosen.heard(said[1], JSON.parse(said[2])); return }
    if (said[0] === "made") { if (said[1]) { made(said[1]) }; made = () => {}; return }
    if (said[0] === "settings") {
      if (!el.isConnected) { return } // a drawer that opens again has this made again
      const settings = JSON.parse(said[1])
      askSettings(el, settings, (name, prompt) => tell({type: "set", id: settings.id, model: name, prompt}))
      return
    }
    if (said[0] !== "rows") { seek.heard(said); return }
    asking = false
    const fresh = JSON.parse(said[1])
    current = said[2]
    begins = said[3]
    if (fresh.archived === view.archived && fresh.tag === view.tag) { take(fresh) } // else a later one is on its way
    rows = {items, current, begins}
    draw()
    drawAround()
    if (since !== null && since !== midnight() && !asking) { see("see", items.first, Math.max(60, items.rows.length)) }
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  draw()
  drawAround()
  setTimeout(() => see("ready", 0, 60)) // Bokeh would send this component's entire state along
}
