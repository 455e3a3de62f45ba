// The trash as data: a row for each conversation that was deleted.

const DAY = 86400000
const SURE_MS = 5000 // in which a second click erases

export function render({model, el}) {
  const host = el.getRootNode().host
  const list = element("ul", {"aria-label": "Deleted conversations"})
  const about = element("p", {role: "status"}, "Looking into the trash…")
  el.replaceChildren(about, list)

  const days = (ms) => Math.max(1, Math.ceil(ms / DAY))
  const counted = (number) => number === 1 ? "1 day" : `${number} days`
  function row({id, title, at, until}) {
    const left = counted(days(until - Date.now()))
    const when = new Date(at).toLocaleDateString(undefined, {day: "numeric", month: "short"})
    const restore = element("button", {type: "button", "aria-label": `Restore ${title}`, onclick: () => model.send_msg({type: "restore", id})}, "Restore")
    const erase = element("button", {type: "button", class: "erase", "aria-label": `Delete ${title} for good`}, "Delete for good")
    let sure = 0
    erase.addEventListener("click", () => {
      if (sure) { model.send_msg({type: "erase", id}); return }
      const calm = () => {
        sure = 0
        erase.textContent = "Delete for good"
      }
      sure = setTimeout(calm, SURE_MS)
      erase.textContent = "Click again: there is no way back"
    })
    return element("li", {}, element("div", {class: "name"}, element("span", {dir: "auto", title}, title), element("small", {}, `Deleted ${when}, kept for another ${left}`)), restore, erase)
  }
  listen(model, ({rows}) => {
    const at = [...list.querySelectorAll("button")].indexOf(el.getRootNode().activeElement)
    list.replaceChildren(...rows.map(row))
    about.textContent = rows.length ? "Deleted conversations are kept for 30 days." : "The trash is empty."
    if (at >= 0) { ([...list.querySelectorAll("button")].at(Math.min(at, 2 * rows.length - 1)) ?? about).focus?.() }
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
