// How likely the model held each piece of an answer, on demand: tinted and underlined by classes, and for the one under
// the pointer or with the focus what else might have stood there. The arrow keys go from piece to piece.

const LIKELY = [[90, "90 % and more"], [70, "70 to 90 %"], [40, "40 to 70 %"], [10, "10 to 40 %"], [0, "less than 10 %"]]

function likelyView({tokens, note}) {
  const level = (percent) => LIKELY.findIndex(([least]) => percent >= least)
  const said = (percent) => percent >= 99.95 ? "100 %" : percent < 0.1 ? "under 0.1 %" : `${percent.toFixed(1)} %`
  // Signs that are not seen are named; of what comes from a model nothing is taken for HTML.
  const visible = (text) => text === "" ? "nothing that can be shown" : `“${text.replaceAll("\n", "↵").replaceAll("\t", "⇥")}”`
  const node = element("section", {class: "likely", "aria-label": "Word probabilities"})
  if (!tokens.length) {
    node.append(element("p", {class: "note", role: "status"}, note))
    return node
  }
  const legend = element("ul", {class: "legend", "aria-label": "How likely each piece was"}, ...LIKELY.map(([, words], at) => element("li", {}, element("span", {class: `token p${at}`, "aria-hidden": "true"}, "ab"), words)))
  const list = element("div", {class: "tokens", dir: "auto", role: "listbox", "aria-label": "Pieces of the answer; the arrow keys go from one to the next"})
  const others = element("div", {class: "others", role: "status", hidden: ""})
  const pieces = tokens.map(([text, percent], at) => element("span", {class: `token p${level(percent)}`, role: "option", "aria-selected": "false", tabindex: at ? "-1" : "0"}, text))
  list.append(...pieces)
  node.append(legend, list, others)
  if (note) { node.append(element("p", {class: "note"}, note)) }

  let current = null
  function show(piece) {
    if (current === piece) { return }
    current?.classList.remove("current")
    current = piece
    others.hidden = !piece
    if (!piece) { return }
    piece.classList.add("current")
    const [text, percent, rest] = tokens[pieces.indexOf(piece)]
    others.replaceChildren(
      element("p", {}, element("b", {}, visible(text)), ` ${said(percent)}`),
      ...rest.length ? [element("ol", {}, ...rest.map(([other, share]) => element("li", {}, element("span", {}, visible(other)), element("span", {}, said(share)))))] : [element("p", {}, "Nothing else was told.")],
    )
    const box = piece.getClientRects()[0] ?? piece.getBoundingClientRect()
    const around = node.getBoundingClientRect()
    others.style.top = `${box.bottom - around.top + 4}px`
    others.style.left = `${Math.max(0, Math.min(box.left - around.left, around.width - others.offsetWidth))}px`
  }
  const focused = () => pieces.find((piece) => piece === node.getRootNode().activeElement) ?? null
  const at = (event) => event.target.closest(".tokens .token")
  list.addEventListener("pointerover", (event) => { if (at(event)) { show(at(event)) } })
  list.addEventListener("pointerleave", () => show(focused()))
  list.addEventListener("focusin", (event) => {
    for (const one of list.querySelectorAll("[tabindex='0']")) { one.tabIndex = -1; one.setAttribute("aria-selected", "false") }
    at(event).tabIndex = 0
    at(event).setAttribute("aria-selected", "true")
    show(at(event))
  })
  list.addEventListener("focusout", () => show(null))
  list.addEventListener("click", (event) => at(event)?.focus())
  list.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) { return } // the browser's own
    const place = pieces.indexOf(at(event))
    const to = {ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: pieces.length - 1}[event.key]
    if (event.key === "Escape" && current) {
      event.stopPropagation()
      show(null)
    } else if (to !== undefined) {
      event.preventDefault()
      pieces[to]?.focus()
    }
  })
  return node
}
