// How an answer was written, as rows of a label and a value, and what was asked for it.

const LANGUAGES = {json: "JSON", python: "Python", curl: "curl"}

export function render({model, el}) {
  const host = el.getRootNode().host
  const about = element("p", {class: "about", role: "status"}, "Looking it up…")
  const facts = element("div", {class: "facts"})
  let whole = ""
  const copyAll = element("button", {type: "button", class: "word", onclick: () => copy(copyAll, whole)}, "Copy the details as JSON")
  const end = element("div", {class: "end", hidden: ""}, copyAll)
  const requests = new Map() // run -> what shows its request; it stays while the facts around it change
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

  // --- facts -------------------------------------------------------------------------------------------------------
  const moment = (ms) => new Date(ms).toLocaleString(undefined, {dateStyle: "medium", timeStyle: "medium"})
  function row({label, value, mark, at, copy: copied}) {
    const words = element("span", {dir: "auto", title: at ? value : null}, at ? moment(at) : value)
    const cell = element("dd", {class: mark === "failure" ? "failure" : null}, words)
    if (mark && mark !== "failure") { cell.append(element("span", {class: "mark"}, mark)) }
    if (copied) { cell.append(element("button", {type: "button", class: "word", "aria-label": `Copy the ${label.toLowerCase()}`, onclick: ({currentTarget}) => copy(currentTarget, value)}, "Copy")) }
    return [element("dt", {}, label), cell]
  }
  const table = (rows) => element("dl", {}, ...rows.flatMap(row))
  function section({title, rows, run}) {
    if (!requests.has(run)) { requests.set(run, request(run, title)) }
    const heading = title ? [element("h3", {}, title)] : []
    return element("section", {"aria-label": title || "Run"}, ...heading, table(rows), requests.get(run).node)
  }

  // --- what was asked ----------------------------------------------------------------------------------------------
  function request(run, title) {
    const named = title ? `the request of ${title.toLowerCase()}` : "the request"
    const note = element("p", {class: "note", role: "status"})
    const code = element("pre", {tabindex: "0", dir: "ltr", "aria-label": "The request"})
    const more = element("button", {type: "button", class: "word", hidden: "", onclick: () => unfold()}, "Show all")
    const taking = element("button", {type: "button", class: "word", onclick: take}, "Copy")
    const download = element("a", {class: "word", download: ""}, "Download")
    const tabs = Object.entries(LANGUAGES).map(([name, label]) => element("button", {type: "button", role: "tab", class: "tab", "data-name": name, onclick: () => choose(name, true)}, label))
    const list = element("div", {class: "tabs", role: "tablist", "aria-label": "The request as", onkeydown: step}, ...tabs)
    const shown = element("div", {hidden: "", role: "tabpanel", "aria-label": "The request"}, code, element("div", {class: "below"}, more, taking, download))
    const inside = element("div", {class: "inside", hidden: ""}, note, list, shown)
    const opener = element("button", {type: "button", class: "word open", "aria-expanded": "false", onclick: open}, `Show ${named}`)
    const again = element("button", {type: "button", class: "word open", onclick: () => model.send_msg({type: "again", run})}, "Ask again with a change…")
    let told = null
    let chosen = "json"

    function open() {
      const opened = inside.hidden
      inside.hidden = !opened
      opener.setAttribute("aria-expanded", opened)
      opener.textContent = `${opened ? "Hide" : "Show"} ${named}`
      if (opened) {
        note.textContent = told ? note.textContent : "Putting it together…"
        list.hidden = !told
        model.send_msg({type: "request", run})
      }
    }
    function choose(name, focused) {
      chosen = name
      for (const tab of tabs) {
        const on = tab.dataset.name === name
        tab.setAttribute("aria-selected", on)
        tab.tabIndex = on ? 0 : -1
        if (on && focused) { tab.focus() }
      }
      code.textContent = told.texts[name]
      code.classList.remove("unfolded")
      more.hidden = code.scrollHeight <= code.clientHeight + 4
      download.href = told.addresses[name]
    }
    function unfold() {
      code.classList.add("unfolded")
      more.hidden = true
      code.focus({preventScroll: true})
    }
    function step(event) {
      const at = tabs.findIndex((tab) => tab.dataset.name === chosen)
      const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key]
      if (to === undefined) { return }
      event.preventDefault()
      choose(tabs.at(to % tabs.length).dataset.name, true)
    }
    // What the page has only in part comes from the server.
    function take() {
      const text = told.whole[chosen] ? told.texts[chosen] : fetch(told.addresses[chosen]).then((answer) => {
        if (!answer.ok) { throw new Error("refused") }
        return answer.text()
      })
      copy(taking, text)
    }
    return {
      node: element("div", {class: "request"}, opener, again, inside),
      told(msg) {
        told = msg.refused ? null : msg
        note.textContent = msg.refused || msg.note
        list.hidden = shown.hidden = Boolean(msg.refused)
        if (told) { choose(chosen, false) }
      },
    }
  }

  listen(model, (msg) => {
    if (msg.type === "request") {
      requests.get(msg.run)?.told(msg)
      return
    }
    const held = el.getRootNode().activeElement
    facts.replaceChildren()
    end.hidden = msg.type !== "details"
    about.hidden = msg.type === "details" && !msg.note
    if (msg.type !== "details") {
      requests.clear()
      about.textContent = msg.type === "wait" ? "Looking it up…" : "The details could not be read. Close this and open it again."
      return
    }
    about.textContent = msg.note || ""
    facts.append(...(msg.rows.length ? [table(msg.rows)] : []), ...msg.sections.map(section))
    whole = msg.json
    if (held?.isConnected) { held.focus({preventScroll: true}) }
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
