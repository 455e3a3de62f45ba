// Answers that stand side by side until one of them is used: what is above each, and how many columns there are.

function besideOf(entry, view, send) {
  const {number, of, head} = view.beside
  entry.beside ??= element("header", {class: "over"}, element("span", {class: "which"}), element("span", {class: "doing"}))
  const which = entry.beside.querySelector(".which")
  which.textContent = `Answer ${number}`
  which.title = head ? "The conversation goes on with this answer, unless you use another one" : ""
  entry.beside.classList.toggle("head", head)
  const held = entry.beside.contains(entry.beside.getRootNode().activeElement)
  entry.beside.querySelectorAll("button").forEach((one) => one.remove())
  const use = element("button", {type: "button", class: "step use", onclick: () => send({type: "use", id: view.id})}, "Use this answer")
  const end = view.status === "streaming" ? [button("End this answer", "stop", () => send({type: "stop", id: view.id}))] : []
  which.after(...end, use)
  if (held) { use.focus({preventScroll: true}) }
  entry.heading.setAttribute("aria-label", `Assistant, answer ${number} of ${of}${head ? ", with which the conversation goes on" : ""}`)
  if (!entry.beside.isConnected) { entry.heading.after(entry.beside) }
}

function alone(entry, name) {
  entry.beside?.remove()
  entry.beside = null
  entry.heading.setAttribute("aria-label", name)
}

// The column of messages is as wide as they need, and all others stay where they were.
function setColumns(column, entries) {
  const count = entries.find(({view}) => view.beside)?.view.beside.of ?? 0
  column.classList.toggle("abreast", count > 0)
  column.dataset.answers = count
  column.style.setProperty("--answers", count)
}
