// The trash as data: a row for each conversation that was deleted.

const DAY = 86400000
const SURE_MS = 5000 // in which a second click erases
const TWICE_MS = 500 // a click so soon after another is one of a double click, or of a key that is held
const ERASE = "Delete for good"
const AGAIN = "Click again: for good"

export function render({model, el}) {
  const host = el.getRootNode().host
  const list = element("ul", {"aria-label": "Deleted conversations"})
  const about = element("p", {role: "status", tabindex: "-1"}, "Looking into the trash…")
  const spoken = element("p", {class: "unseen", role: "status"}) // not to be seen: it would move the rows under the pointer
  el.replaceChildren(about, spoken, list)

  const days = (ms) => Math.max(1, Math.ceil(ms / DAY))
  const counted = (number) => number === 1 ? "1 day" : `${number} days`
  function row({id, title, at, until}) {
    const left = counted(days(until - Date.now()))
    const when = new Date(at).toLocaleDateString(undefined, {day: "numeric", month: "short"})
    const restore = element("button", {type: "button", "aria-label": `Restore ${title}`, onclick: () => model.send_msg({type: "restore", id})}, "Restore")
    const erase = element("button", {type: "button", class: "erase", "data-longest": AGAIN})
    let last = -Infinity
    let sure = 0
    const label = (text) => {
      erase.textContent = text
      erase.setAttribute("aria-label", text === ERASE ? `Delete ${title} for good` : `${text}. Delete ${title}; there is no way back`)
    }
    const calm = () => {
      sure = 0
      label(ERASE)
      spoken.textContent = ""
    }
    erase.addEventListener("click", ({timeStamp}) => {
      const twice = timeStamp - last < TWICE_MS
      last = timeStamp
      if (twice) { return }
      if (sure) { model.send_msg({type: "erase", id}); return }
      sure = setTimeout(calm, SURE_MS)
      label(AGAIN)
      spoken.textContent = `Click again to delete “${title}” for good. There is no way back.`
    })
    label(ERASE)
    return element("li", {}, element("div", {class: "name"}, element("span", {dir: "auto", title}, title), element("small", {}, `Deleted ${when}, kept for another ${left}`)), restore, erase)
  }
  listen(model, ({rows, full}) => {
    const at = [...list.querySelectorAll("button")].indexOf(el.getRootNode().activeElement)
    list.replaceChildren(...rows.map(row))
    const more = full ? ` These are the last ${rows.length}; older ones come as these go.` : ""
    about.textContent = rows.length ? `Deleted conversations are kept for 30 days.${more}` : "The trash is empty."
    spoken.textContent = ""
    if (at >= 0) { ([...list.querySelectorAll("button")].at(Math.min(at, 2 * rows.length - 1)) ?? about).focus?.() }
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
