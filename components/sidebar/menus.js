// A menu at a button: a popover of the platform, so it lies above everything and goes by Escape or a click elsewhere.

let menuOpen = null

// While something lies above the page, Esc is for that alone: elsewhere it stops an answer, or closes the sidebar.
function holdEscape() {
  const hold = (event) => { if (event.key === "Escape") { event.stopPropagation() } }
  window.addEventListener("keydown", hold, true)
  return () => setTimeout(() => window.removeEventListener("keydown", hold, true)) // it may be this key that ends it
}

// `items`: {name, icon, act} each; null draws a line.
function openMenu(el, anchor, label, items) {
  menuOpen?.remove()
  const menu = element("div", {class: "menu", role: "menu", "aria-label": label, popover: "auto"})
  for (const item of items) {
    if (!item) { menu.append(element("hr", {role: "separator"})); continue }
    const act = () => { close(); item.act() }
    menu.append(element("button", {type: "button", role: "menuitem", tabindex: "-1", class: item.class, onclick: act}, icon(item.icon), item.name))
  }
  let back = true // whether the keyboard goes back to the button
  function close() {
    back = false
    anchor.focus({preventScroll: true}) // what is done may take it elsewhere
    menu.hidePopover()
  }
  menu.addEventListener("keydown", (event) => {
    const all = [...menu.querySelectorAll("button")]
    const at = all.indexOf(event.target)
    const to = {ArrowDown: at + 1, ArrowUp: at - 1 + all.length, Home: 0, End: all.length - 1}[event.key]
    event.stopPropagation()
    if (event.key === "Tab") { event.preventDefault(); close() }
    if (to !== undefined) { event.preventDefault(); all[to % all.length].focus() }
  })
  menu.addEventListener("toggle", ({newState}) => {
    if (newState !== "closed") { return }
    release()
    anchor.setAttribute("aria-expanded", "false")
    const held = menu.contains(menu.getRootNode().activeElement)
    menu.remove()
    if (back && held) { anchor.focus({preventScroll: true}) }
  })
  el.append(menu)
  menuOpen = menu
  const release = holdEscape()
  menu.showPopover()
  anchor.setAttribute("aria-expanded", "true")
  const {left, right, bottom, top} = anchor.getBoundingClientRect()
  const {width, height} = menu.getBoundingClientRect()
  const rtl = getComputedStyle(anchor).direction === "rtl"
  menu.style.left = `${Math.max(8, Math.min(rtl ? right - width : left, innerWidth - width - 8))}px`
  menu.style.top = `${bottom + height + 8 > innerHeight ? Math.max(8, top - height - 4) : bottom + 4}px`
  menu.querySelector("button").focus({preventScroll: true})
}
