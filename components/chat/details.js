// How an answer was written, as rows of a label and a value.

export function render({model, el}) {
  const host = el.getRootNode().host
  const about = element("p", {class: "about", role: "status"}, "Looking it up…")
  const facts = element("div", {class: "facts"})
  let whole = ""
  const copyAll = element("button", {type: "button", class: "word", onclick: () => copy(copyAll, whole)}, "Copy as JSON")
  const end = element("div", {class: "end", hidden: ""}, copyAll)
  el.replaceChildren(about, facts, end)

  async function copy(control, text) {
    const label = control.textContent
    try {
      await writeClipboard(text)
      control.textContent = "Copied"
    } catch {
      control.textContent = "Could not copy"
    }
    setTimeout(() => { control.textContent = label }, 1600)
  }

  const moment = (ms) => new Date(ms).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "medium"})
  function row({label, value, mark, at, copy: copied}) {
    const words = element("span", {dir: "auto", title: at ? value : null}, at ? moment(at) : value)
    const cell = element("dd", {class: mark === "failure" ? "failure" : null}, words)
    if (mark && mark !== "failure") { cell.append(element("span", {class: "mark"}, mark)) }
    if (copied) { cell.append(element("button", {type: "button", class: "word", "aria-label": `Copy the ${label.toLowerCase()}`, onclick: ({currentTarget}) => copy(currentTarget, value)}, "Copy")) }
    return [element("dt", {}, label), cell]
  }
  const table = (rows) => element("dl", {}, ...rows.flatMap(row))
  function section({title, rows}) {
    return title ? element("section", {"aria-label": title}, element("h3", {}, title), table(rows)) : table(rows)
  }

  listen(model, (msg) => {
    facts.replaceChildren()
    end.hidden = msg.type !== "details"
    about.hidden = msg.type === "details" && !msg.note
    if (msg.type !== "details") {
      about.textContent = msg.type === "wait" ? "Looking it up…" : "The details could not be read. Close this and open it again."
      return
    }
    about.textContent = msg.note || ""
    facts.append(...(msg.rows.length ? [table(msg.rows)] : []), ...msg.sections.map(section))
    whole = msg.json
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
