// Usage: figures, plots and tables of what was measured. The plots are Bokeh's and stand in places of ours; everything
// that they show is in a table beside them, too.

const PLOTS = [
  ["spend", "Spent by day", "Drag across days to look at them alone."],
  ["tokens", "Tokens by day", ""],
  ["activity", "Requests by day", ""],
  ["errors", "Errors by day", ""],
  ["latency", "How long answers take, by model", "From the time in which half of the answers came to that in which 95 % did."],
]
// Says that a component that came later than the page can hear now. Bokeh takes what came from the server for its own
// until it has sent something, and would send this component's entire state along, its handlers too, which it cannot.
function ready(model) {
  setTimeout(() => {
    for (const page of Bokeh.documents) { page.create_json_patch([]) }
    model.send_msg({type: "ready"})
  })
}

const number = (count) => count.toLocaleString("en")

export function render({model, el, view}) {
  const host = el.getRootNode().host
  const tell = (msg) => { busy(true); model.send_msg(msg) }
  let about = null
  let last = null // what was shown last

  const status = element("p", {class: "status", role: "status"}, "Adding up…")
  const failure = element("p", {class: "failure", role: "alert", hidden: ""})
  const periods = element("div", {class: "periods", role: "group", "aria-label": "Period"})
  const day = (label) => element("input", {type: "date", "aria-label": label, onchange: () => tell({type: "days", first: from.value, last: to.value})})
  const from = day("From")
  const to = day("To")
  const models = element("select", {"aria-label": "Model", onchange: () => {
    const [endpoint, name] = JSON.parse(models.value)
    tell({type: "model", endpoint, model: name})
  }})
  const back = element("button", {type: "button", class: "word", hidden: "", onclick: () => tell({type: "unbrush"})}, "Whole period again")
  const files = element("div", {class: "files", role: "group", "aria-label": "Export"})
  const alerts = element("button", {type: "button", class: "word alerts", onclick: () => model.send_msg({type: "alerts"})}, "Alerts…")
  const controls = element("div", {class: "controls"}, periods, element("div", {class: "days"}, from, element("span", {"aria-hidden": "true"}, "–"), to), models, alerts)
  const cards = element("dl", {class: "cards"})
  const compared = element("p", {class: "compared", role: "status"})
  const other = element("select", {"aria-label": "Compare with", onchange: () => tell({type: "compare", place: JSON.parse(other.value)})})
  const instead = element("section", {class: "instead"},
    element("label", {}, "What would it have cost on", other), compared)
  const unknown = element("p", {class: "hint", hidden: ""}, "+: and more, of requests whose price nobody knows.")
  const places = {}
  const plots = element("div", {class: "plots"}, ...PLOTS.map(plot))
  const ofModels = element("div", {class: "wide"})
  const costly = element("div", {class: "wide"})
  const found = element("div", {class: "found", hidden: ""}, cards, instead, plots,
    element("section", {}, element("h3", {}, "Models"), unknown, ofModels),
    element("section", {}, element("h3", {}, "Most expensive conversations"), costly), files)
  el.replaceChildren(controls, failure, element("div", {class: "told"}, status, back), found)

  function plot([name, title, hint]) {
    const id = `plot-${name}`
    const picture = element("div", {class: "picture", role: "img", "aria-labelledby": id})
    const legend = element("ul", {class: "legend", "aria-hidden": "true"})
    const table = element("div", {class: "wide"})
    const told = element("details", {ontoggle: () => { if (told.open && last) { tabulate(name) } }}, element("summary", {}, "As a table"), table)
    places[name] = {picture, legend, table, told}
    return element("section", {class: `plot ${name}`}, element("h3", {id}, title), hint ? element("p", {class: `hint ${name}`}, hint) : "", legend, picture, told)
  }

  // --- tables --------------------------------------------------------------------------------------------------------
  function table(label, heads, rows) {
    const cell = (value, place) => {
      const tag = place === 0 ? "th" : "td"
      return element(tag, place === 0 ? {scope: "row", dir: "auto"} : {}, value instanceof Node ? value : String(value))
    }
    return element("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": label},
      element("table", {"aria-label": label},
        element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", {scope: "col"}, head)))),
        element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map(cell))))))
  }
  const TABLES = {
    spend: () => [["Day", "Spent", "Requests"], last.days.map((d) => [d.day, d.price, number(d.requests)])],
    tokens: () => [["Day", ...about.tokens], last.days.map((d) => [d.day, number(d.input), number(d.cached), number(d.output)])],
    activity: () => [["Day", "Requests", "Failed"], last.days.map((d) => [d.day, number(d.requests), number(d.failed)])],
    errors: () => [["Day", ...last.errors.map(([kind]) => kind)], last.days.filter((d) => d.errors.length).map((d) => {
      const counts = new Map(d.errors)
      return [d.day, ...last.errors.map((_, place) => number(counts.get(place) ?? 0))]
    })],
    latency: () => [["Model", "First word, half within", "95 % within", "Whole answer, half within", "95 % within"], last.of_models.map((m) => [m.model, ...m.first, ...m.total])],
  }
  function tabulate(name) {
    const [heads, rows] = TABLES[name]()
    places[name].table.replaceChildren(table(PLOTS.find(([plot]) => plot === name)[1], heads, rows))
  }
  function link({id, title}) {
    if (!id) { return element("em", {}, title) }
    return element("a", {href: `?c=${encodeURIComponent(id)}`, onclick: (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) { return }
      event.preventDefault()
      document.dispatchEvent(new CustomEvent("panelist:open", {detail: {id}}))
      model.send_msg({type: "close"})
    }}, title)
  }

  // --- what the server says ------------------------------------------------------------------------------------------
  function busy(on) {
    found.setAttribute("aria-busy", String(on))
    if (on) { status.textContent = "Adding up…" }
  }
  function option(value, text, chosen) {
    return element("option", {value: JSON.stringify(value), selected: JSON.stringify(value) === JSON.stringify(chosen) ? "" : false}, text)
  }
  function chooseAmong(shown) {
    const chosen = [shown.endpoint, shown.model]
    const endpoints = [...new Set(shown.models.map(([endpoint]) => endpoint))]
    if (shown.endpoint !== null && !endpoints.includes(shown.endpoint)) { endpoints.push(shown.endpoint) }
    const groups = endpoints.map((endpoint) => {
      const here = shown.models.filter(([where]) => where === endpoint).map(([, name]) => name)
      if (endpoint === shown.endpoint && shown.model !== null && !here.includes(shown.model)) { here.push(shown.model) }
      return element("optgroup", {label: endpoint || "unknown"}, option([endpoint, null], `All of ${endpoint || "unknown"}`, chosen),
        ...here.map((name) => option([endpoint, name], name || "unknown", chosen)))
    })
    models.replaceChildren(option([null, null], "All models", chosen), ...groups)
    const known = shown.choices.some((place) => JSON.stringify(place) === JSON.stringify(shown.instead))
    const extra = shown.instead && !known ? [shown.instead] : []
    other.replaceChildren(option(null, shown.choices.length ? "another model…" : "no model has a known price", shown.instead),
      ...[...shown.choices, ...extra].map(([endpoint, name]) => option([endpoint, name], `${name} · ${endpoint}`, shown.instead)))
    other.disabled = !shown.choices.length && !shown.instead
  }
  function show(shown) {
    last = shown
    failure.hidden = true
    busy(false)
    for (const button of periods.children) { button.setAttribute("aria-pressed", String(button.textContent === shown.period)) }
    from.value = shown.first
    to.value = shown.last
    back.hidden = !shown.brushed
    chooseAmong(shown)
    found.hidden = shown.empty
    const days = shown.days.length
    status.textContent = shown.empty ? "Nothing was asked in this time. Choose a longer one above, or ask something."
      : `${shown.cards[1][1]} ${shown.cards[1][1] === "1" ? "request" : "requests"} on ${days === 1 ? "1 day" : `${number(days)} days`}${shown.brushed ? ", as chosen in the plot" : ""}.`
    cards.replaceChildren(...shown.cards.map(([what, value, note]) => element("div", {}, element("dt", {}, what), element("dd", {}, value), element("dd", {class: "note"}, note || "\u00a0"))))
    compared.textContent = shown.compared
    unknown.hidden = !shown.of_models.some(({price}) => price.endsWith("+")) && !shown.costly.some(({price}) => price.endsWith("+"))
    legend("tokens", about.tokens)
    legend("errors", shown.errors.map(([kind, count]) => `${kind} (${number(count)})`))
    legend("latency", ["First word", "Whole answer"])
    places.errors.picture.hidden = places.errors.told.hidden = !shown.errors.length
    places.errors.legend.dataset.none = String(!shown.errors.length)
    for (const [name, {told}] of Object.entries(places)) { if (told.open) { tabulate(name) } }
    ofModels.replaceChildren(table("Models", ["Model", "Endpoint", "Requests", "Failed", "Tokens", "Spent", "First word", "95 %", "Whole", "95 %", "Tokens/s"],
      shown.of_models.map((m) => [m.model, m.endpoint, number(m.requests), m.failed, number(m.tokens), m.price, ...m.first, ...m.total, m.speed])))
    costly.replaceChildren(table("Most expensive conversations", ["Conversation", "Spent", "Requests", "Tokens"],
      shown.costly.map((c) => [link(c), c.price, number(c.requests), number(c.tokens)])))
    const file = (name, address) => element("a", {class: "word", href: address, download: ""}, name)
    files.replaceChildren(element("span", {}, "Every request as"), file("CSV", shown.files[0]),
      about.no_parquet ? element("span", {class: "hint"}, about.no_parquet) : file("Parquet", shown.files[1]))
  }
  function legend(name, words) {
    places[name].legend.replaceChildren(...words.map((text, place) => element("li", {style: `--series: var(--series-${place % 8})`}, text)))
  }
  listen(model, (msg) => {
    if (msg.type === "about") {
      about = msg
      plots.querySelector(".hint.spend").hidden = !msg.drags
      theme()
      periods.replaceChildren(...msg.periods.map((name) => element("button", {type: "button", "aria-pressed": "false", onclick: () => tell({type: "period", name})}, name)))
    } else if (msg.type === "failed") {
      busy(false)
      status.textContent = ""
      failure.textContent = msg.why
      failure.hidden = false
      if (last) { from.value = last.first; to.value = last.last }
    } else if (about) { show(msg) } // else it was meant for what stood here before
  })

  const theme = () => {
    host.dataset.theme = model.dark ? "dark" : "light"
    about?.colours[host.dataset.theme].forEach((colour, place) => host.style.setProperty(`--series-${place}`, colour))
  }
  model.on("dark", theme)
  // Plots are drawn one after the other, and each one, like whatever resizes, measures all; those that are not drawn yet
  // have nothing to be measured.
  Object.defineProperty(view, "layoutable_views", {configurable: true, get: () => view.child_views.filter(({layout}) => layout)})
  const put = () => (model.get_child("plots") ?? []).forEach((child, place) => places[PLOTS[place][0]].picture.replaceChildren(child))
  model.on("plots", put)
  put()
  theme()
  ready(model)
}
