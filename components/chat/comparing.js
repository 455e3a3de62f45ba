// Two versions of a message, or an answer before and after its steps, side by side or, in a narrow window, one below the other.

export function render({model, el}) {
  const host = el.getRootNode().host
  const about = element("p", {role: "status"}, "Comparing…")
  const sides = ["Before", "After"].map((name) => {
    const choose = element("select", {"aria-label": name, onchange: () => ask()})
    const by = element("small")
    const text = element("div", {class: "text", dir: "auto", tabindex: "0", role: "group", "aria-label": `${name}: text`})
    return {choose, by, text, node: element("section", {"aria-label": name}, element("header", {}, choose, by), text)}
  })
  const differ = element("ul", {"aria-label": "What differed in the request"})
  const asked = element("div", {class: "asked", hidden: ""}, element("p", {}, "In the request:"), differ)
  el.replaceChildren(about, asked, element("div", {class: "sides"}, ...sides.map(({node}) => node)))
  const ask = () => model.send_msg({type: "places", places: sides.map(({choose}) => Number(choose.value))})

  listen(model, ({type, count, places, by, options = [], changes}) => {
    differ.replaceChildren(...options.map(([option, before, after]) => element("li", {}, element("b", {}, option), ` ${before ?? "unset"} → ${after ?? "unset"}`)))
    asked.hidden = !options.length
    if (type !== "compared") { // what is on show is of other versions
      about.textContent = type === "wait" ? "Comparing…" : "These versions could not be read. Choose others, or open this once more."
      for (const {by, text} of sides) { by.textContent = ""; text.replaceChildren() }
      return
    }
    // Steps change white space, which can only be seen when it is drawn.
    const drawn = (text) => count ? text : text.replace(/[ \t]+(?=\n|$)/g, (spaces) => "·".repeat(spaces.length)).replace(/[\u00a0\u202f]/g, "⍽").replace(/\n/g, "↵\n")
    const kinds = [["removed", "del"], ["added", "ins"]]
    sides.forEach((side, at) => {
      side.choose.hidden = !count
      side.choose.replaceChildren(...Array.from({length: count}, (_, place) => element("option", {value: place, selected: place === places[at] ? "" : false}, `Version ${place + 1}`)))
      side.by.textContent = by[at]
      const [own, tag] = kinds[at]
      side.text.replaceChildren(...changes.filter(([kind]) => kind === "same" || kind === own).map(([kind, text]) => kind === "same" ? text : element(tag, {}, drawn(text))))
    })
    const words = (name) => changes.filter(([kind]) => kind === name).reduce((sum, [, text]) => sum + (text.match(/\S+/g) ?? []).length, 0)
    const counted = (number) => number === 1 ? "1 word" : `${number.toLocaleString("en")} words`
    if (!count) { // of a long answer, what changed
      for (const {text} of sides) {
        const mark = text.querySelector("del, ins")
        if (mark) { text.scrollTop += mark.getBoundingClientRect().top - text.getBoundingClientRect().top - 60 }
      }
    }
    const changed = changes.filter(([kind]) => kind !== "same")
    about.textContent = !changed.length ? "The texts are the same." : changed.every(([, text]) => !text.trim()) ? "Only white space changed." : `${counted(words("removed"))} removed, ${counted(words("added"))} added.`
  })
  const theme = () => { host.dataset.theme = model.dark ? "dark" : "light" }
  model.on("dark", theme)
  theme()
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
