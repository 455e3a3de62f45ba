// The steps that complete answers go through: each switched on or off, in an order that keys, buttons and the pointer
// change. Until something is changed it is the order that holds everywhere.

export function render({model, el}) {
  let steps = [] // in the order shown: {name, label, hint, why_not, on}
  let inherited = true
  let everywhere = []
  const said = element("p", {role: "status", class: "unseen"})
  const same = element("input", {type: "checkbox", onchange: () => {
    inherited = same.checked
    if (inherited) { arrange(everywhere) }
    tell()
    draw()
  }})
  const sameAs = element("span")
  const list = element("ol", {"aria-label": "Steps, the first one at the top"})
  el.replaceChildren(element("section", {role: "group", "aria-label": "Post-processing"},
    element("h3", {}, "Post-processing"),
    element("p", {}, "Complete answers go through these steps, from top to bottom. The answer as it came is kept, one click away."),
    element("label", {class: "same"}, same, sameAs), list, said))

  const on = () => steps.filter((step) => step.on).map(({name}) => name)
  const tell = () => model.send_msg({type: "chosen", names: inherited ? null : on()})
  function arrange(names) {
    const place = (name) => { const at = names.indexOf(name); return at < 0 ? names.length : at }
    steps = steps.map((step) => ({...step, on: names.includes(step.name)})).sort((a, b) => place(a.name) - place(b.name))
  }
  function change(focus) {
    inherited = false
    tell()
    draw(focus)
  }
  function move(step, by, which) {
    const at = steps.indexOf(step)
    const to = at + by
    if (to < 0 || to >= steps.length) { return }
    steps.splice(at, 1)
    steps.splice(to, 0, step)
    said.textContent = `${step.label} is number ${to + 1} of ${steps.length} now.`
    change({name: step.name, which})
  }
  function row(step, at) {
    const hint = `hint-${at}`
    const toggle = element("input", {type: "checkbox", class: "toggle", checked: step.on ? "" : false, disabled: step.why_not && !step.on ? "" : false,
      "aria-describedby": hint, onchange: () => { step.on = toggle.checked; change({name: step.name, which: "toggle"}) }})
    const mover = (by, which) => {
      const control = button(`Move ${step.label} ${which}`, "down", () => move(step, by, which))
      control.classList.add(which)
      control.disabled = by < 0 ? at === 0 : at === steps.length - 1
      return control
    }
    const grip = element("span", {class: "grip", "aria-hidden": "true", title: "Drag to move"}, "⠿")
    const node = element("li", {"data-name": step.name, onkeydown: (event) => {
      const by = {ArrowUp: -1, ArrowDown: 1}[event.key]
      if (by && event.altKey) { event.preventDefault(); move(step, by, event.target.className.match(/toggle|up|down/)?.[0] ?? "toggle") }
    }}, grip, element("label", {}, toggle, step.label), mover(-1, "up"), mover(1, "down"),
    element("small", {id: hint, class: step.why_not ? "why" : ""}, step.why_not ?? step.hint))
    grip.addEventListener("pointerdown", () => { node.draggable = true })
    grip.addEventListener("pointerup", () => { node.draggable = false })
    node.addEventListener("dragstart", (event) => {
      event.dataTransfer.effectAllowed = "move"
      event.dataTransfer.setData("text/plain", step.label)
      node.classList.add("dragged")
    })
    node.addEventListener("dragend", () => {
      const names = [...list.children].map((one) => one.dataset.name)
      const moved = names.join() !== steps.map(({name}) => name).join()
      steps.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name))
      if (moved) { said.textContent = `${step.label} is number ${names.indexOf(step.name) + 1} of ${names.length} now.`; change() } else { draw() }
    })
    return node
  }
  list.addEventListener("dragover", (event) => {
    const dragged = list.querySelector(".dragged")
    const over = event.target.closest("li")
    if (!dragged) { return }
    event.preventDefault()
    if (!over || over === dragged) { return }
    const {top, height} = over.getBoundingClientRect()
    over[event.clientY < top + height / 2 ? "before" : "after"](dragged)
  })
  list.addEventListener("drop", (event) => event.preventDefault())

  function draw(focus) {
    same.checked = inherited
    sameAs.textContent = `As everywhere: ${everywhere.length ? everywhere.join(", ") : "none"}`
    list.replaceChildren(...steps.map(row))
    if (!focus) { return }
    const node = [...list.children].find((one) => one.dataset.name === focus.name)
    const wanted = node?.querySelector(`.${focus.which}`)
    ;(wanted?.disabled ? node.querySelector(focus.which === "up" ? ".down" : ".up") : wanted)?.focus()
  }
  listen(model, (msg) => {
    if (msg.type !== "steps") { return }
    everywhere = msg.everywhere
    inherited = msg.names === null
    steps = msg.steps
    arrange(msg.names ?? everywhere)
    draw()
  })
  setTimeout(() => model.send_msg({type: "ready"})) // Bokeh would send this component's entire state along
}
