// What is said below an answer of the steps it went through: what they changed, and the way back to how it came.

function processedLine({id, processed: {by, raw, problems}}, send) {
  const line = element("div", {class: "processed"})
  if (by) {
    line.append(
      element("span", {}, raw ? `Before ${by}` : `Changed by ${by}`),
      element("button", {type: "button", onclick: () => send({type: "changed", id})}, "Show what changed"),
      element("button", {type: "button", "aria-pressed": String(raw), onclick: () => send({type: "raw", id, raw: !raw})}, "Use the raw answer"),
    )
  }
  line.append(...problems.map((problem) => element("p", {}, problem)))
  return line
}
