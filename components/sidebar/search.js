// The search box, and what was found in place of the list. Texts only ever go through textContent.

const PAUSE_MS = 150 // between two searches while somebody types

let sought = "" // what is in the box, also for one that is made again

function search({model, nav, open}) {
  let number = 0 // of the last search that was asked for
  let hits = []
  let searched = "" // what the hits are of
  let last = -Infinity // when it was asked for
  let timer = null
  let more = false // whether there are more hits than are here
  let growing = 0 // the search that brings them

  const field = element("input", {type: "search", role: "searchbox", "aria-label": "Search conversations", placeholder: "Search", maxlength: "500", autocomplete: "off", spellcheck: "false", dir: "auto", title: "Search (Ctrl+K)"})
  const box = element("div", {class: "search", role: "search"}, icon("search"), field)
  const said = element("p", {class: "said", role: "status"})
  const list = element("div", {class: "hits"})
  const end = element("button", {type: "button", class: "more", hidden: "", onclick: grow}, "Show more")
  const results = element("section", {class: "results", "aria-label": "Search results", hidden: ""}, said, list, end)

  const wanted = () => field.value.trim()
  function ask(before) {
    number += 1
    model.send_msg({type: "search", number, text: field.value, west: new Date().getTimezoneOffset(), ...(before && {before})})
    return number
  }
  function typed() {
    sought = field.value
    if (!wanted()) { clear(); return }
    timer ??= setTimeout(() => {
      timer = null
      last = performance.now()
      growing = 0
      results.setAttribute("aria-busy", "true")
      ask()
    }, Math.max(0, last + PAUSE_MS - performance.now()))
  }
  function grow() {
    if (more && !growing) { growing = ask(hits.at(-1).place) }
  }
  // Back to the list.
  function clear() {
    clearTimeout(timer)
    timer = null
    number += 1 // what is on its way comes too late
    growing = 0
    hits = []
    field.value = sought = searched = said.textContent = ""
    list.replaceChildren()
    results.hidden = true
    nav.hidden = false
  }
  function show(text) {
    said.textContent = text
    results.removeAttribute("aria-busy")
    end.hidden = !more
    results.hidden = false
    nav.hidden = true
  }

  const DATE = {day: "numeric", month: "short"}
  function when(time) {
    const date = new Date(time)
    const now = new Date()
    if (date.toDateString() === now.toDateString()) { return date.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"}) }
    return date.toLocaleDateString([], date.getFullYear() === now.getFullYear() ? DATE : {...DATE, year: "numeric"})
  }
  function pieces(all) {
    return all.map(([text, found]) => found ? element("mark", {}, text) : text)
  }
  function hit({id, title, at, role, time, pieces: found}) {
    const url = new URL(location.href)
    url.searchParams.set("c", id)
    const go = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
      event.preventDefault()
      list.querySelector("[aria-current]")?.removeAttribute("aria-current")
      link.setAttribute("aria-current", "true")
      open(id, at)
    }
    const head = element("span", {class: "head"},
      element("span", {class: "name", dir: "auto"}, ...(at ? [title] : pieces(found))),
      element("time", {datetime: new Date(time).toISOString()}, when(time)))
    const link = element("a", {href: url.search, class: at ? "hit" : "hit titled", tabindex: "-1", onclick: go}, head)
    if (at) {
      link.append(element("span", {class: "snippet", dir: "auto"}, element("span", {class: "who"}, role === "user" ? "You: " : "Assistant: "), ...pieces(found)))
    }
    return link
  }
  function stopAt(link) {
    for (const other of list.children) { other.tabIndex = other === link ? 0 : -1 }
  }

  field.addEventListener("input", (event) => { if (!event.isComposing) { typed() } })
  field.addEventListener("compositionend", typed)
  const goBack = () => { clear(); field.focus() }
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) { return }
    if (event.key === "Escape") {
      if (!field.value) { return }
      clear()
    } else if (event.key === "ArrowDown" && !results.hidden) { list.firstChild?.focus() }
    else if (event.key === "Enter") { if (searched === field.value) { list.firstChild?.click() } }
    else { return }
    event.preventDefault()
    event.stopPropagation() // Esc elsewhere stops an answer
  })
  list.addEventListener("focusin", (event) => stopAt(event.target))
  results.addEventListener("keydown", (event) => {
    const all = [...list.children]
    const at = all.indexOf(event.target)
    const to = {ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1}[event.key]
    if (event.key === "Escape") { goBack() }
    else if (to === undefined || at < 0) { return }
    else if (to < 0) { field.focus() }
    else {
      all[Math.min(to, all.length - 1)].focus()
      if (to >= all.length) { grow() }
    }
    event.preventDefault()
    event.stopPropagation()
  })

  // The text box asks for it (composer.js), perhaps before the sidebar can be seen and have the keyboard.
  const wish = document.documentElement.dataset
  const focus = () => { delete wish.panelistSearch; field.focus(); field.select() }
  const seen = new IntersectionObserver((changes) => {
    if ("panelistSearch" in wish && changes.at(-1).isIntersecting) { focus() }
  })
  seen.observe(field)
  const come = (event) => {
    const {right, width} = field.getBoundingClientRect()
    if (!width || right <= 0 || !field.checkVisibility({visibilityProperty: true})) { return }
    event.preventDefault()
    focus()
  }
  document.addEventListener("panelist:search", come)
  field.value = sought
  if (sought) { typed() }

  return {
    box,
    results,
    heard([kind, which, found, full]) {
      if (which !== number) { return } // a later one is on its way
      if (kind === "refused") {
        if (growing) { // what is there is as good as before, and can be asked to go on again
          growing = 0
          show(found)
          return
        }
        more = false
        hits = []
        list.replaceChildren()
        show(found)
        return
      }
      const fresh = JSON.parse(found)
      more = full
      if (growing) {
        growing = 0
        hits.push(...fresh)
        list.append(...fresh.map(hit))
      } else {
        searched = field.value
        // Whoever has gone into the hits stays there, though the answer to the last letter comes after that.
        const at = [...list.children].indexOf(list.getRootNode().activeElement)
        if (JSON.stringify(hits) !== found) { list.replaceChildren(...fresh.map(hit)) }
        hits = fresh
        stopAt(list.children[Math.max(0, at)] || list.firstChild)
        if (at >= 0) { (list.children[at] || list.lastChild || field).focus() }
      }
      const count = hits.length === 1 ? "1 result" : `${hits.length}${more ? " or more" : ""} results`
      show(hits.length ? count : "Nothing found. Try fewer words, or the beginning of one.")
    },
    leave() {
      clearTimeout(timer)
      seen.disconnect()
      document.removeEventListener("panelist:search", come)
    },
  }
}
