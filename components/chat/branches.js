// Two branches side by side, from where they part: a row for each step, with what became of the words.

const KINDS = [["removed", "del"], ["added", "ins"]]

function branchesView({back}) {
  const about = element("p", {role: "status"})
  const steps = element("div", {class: "steps"})
  const node = element("section", {class: "branches", "aria-label": "Two branches", hidden: ""},
    element("div", {class: "bar"}, element("button", {type: "button", onclick: back}, "Back to the map"), about), steps)

  function side(step, at) {
    const name = ["One branch", "The other branch"][at]
    if (step.by[at] === null) { return element("section", {"aria-label": name, class: "ended"}, "This branch has ended.") }
    const [own, tag] = KINDS[at]
    const alone = step.by[1 - at] === null // there is nothing that it differs from
    const words = step.changes.filter(([kind]) => kind === "same" || kind === own).map(([kind, text]) => kind === "same" || alone ? text : element(tag, {}, text))
    return element("section", {"aria-label": name},
      element("header", {}, element("small", {}, [step.by[at], STATUSES[step.statuses[at]]].filter(Boolean).join(" · "))),
      element("div", {class: "text", dir: "auto", tabindex: "0", role: "group", "aria-label": `${name}: text`}, ...words))
  }
  function row(step, number) {
    const options = step.options.map(([option, before, after]) => element("li", {}, `${option}: `, before ?? "none", " → ", after ?? "none"))
    return element("article", {"aria-label": `Step ${number + 1}`},
      ...options.length ? [element("ul", {"aria-label": "Options that differ"}, ...options)] : [],
      element("div", {class: "sides"}, side(step, 0), side(step, 1)))
  }
  return {
    node,
    wait() {
      node.hidden = false
      about.textContent = "Comparing…"
      steps.replaceChildren()
      node.querySelector("button").focus()
    },
    show({steps: all, left_out}, since) {
      if (!all) { about.textContent = "These branches cannot be read at the moment. Go back and try again." }
      else if (!all.length) { about.textContent = "These are the same message." }
      else { about.textContent = [since, left_out ? `${left_out.toLocaleString("en")} more steps are not shown; go there to read them.` : ""].filter(Boolean).join(" ") }
      steps.replaceChildren(...(all ?? []).map(row))
    },
    hide() { node.hidden = true },
  }
}
