// Tables: a click on a column's name sorts, and they can be taken away in the order shown. Their buttons come with the
// HTML (services/render/tables.py).

const written = new WeakMap() // the body of a table -> what is in it, as it was written
const NOTHING = /^(?:[-–—.…?]*|n\/?a|none|null|nan)$/i

const words = (cell) => withoutMarks(cell).textContent.replace(/\s+/g, " ").trim()

function withoutMarks(cell) {
  const copy = cell.cloneNode(true)
  for (const math of copy.querySelectorAll("math")) { math.replaceWith(texOf(math)) }
  for (const box of copy.querySelectorAll("input")) { box.replaceWith(box.hasAttribute("checked") ? "[x]" : "[ ]") }
  return copy
}

// The numbers of a column, nothing for cells that say nothing; nothing at all when a cell is no number, or when their
// units differ.
function numbersOf(texts) {
  const told = texts.filter((text) => !NOTHING.test(text))
  const parts = told.map((text) => text.replace(/\u2212/g, "-").match(/^(\(?[-+~≈<>≤≥]*\s*\p{Sc}?\s*[-+]?)(\d[\d.,'’\s]*|\.\d+)(e[-+]?\d+)?\s*(.*)$/iu))
  if (!told.length || parts.some((part) => !part)) { return null }
  const units = new Set(parts.map((part) => part[4].replace(/\)$/, "").trim().toLowerCase()))
  units.delete("")
  if (units.size > 1 || [...units].some((unit) => /^[-–—/:]|\d/.test(unit))) { return null }
  const digits = parts.map((part) => part[2].replace(/[\s'’]/g, ""))
  // "1.234,5" and "3,5" have a decimal comma; one of them tells for the whole column.
  const comma = digits.some((text) => /\.\d{3},\d|^\d+,(?:\d{1,2}|\d{4,})$/.test(text)) && !digits.some((text) => /,\d{3}\.|^\d+\.(?:\d{1,2}|\d{4,})$/.test(text))
  if (digits.some((text) => (text.match(comma ? /,/g : /\./g) || []).length > 1)) { return null } // a version or a date
  const value = (part, text) => {
    const plain = comma ? text.replaceAll(".", "").replace(",", ".") : text.replaceAll(",", "")
    return (part[1].includes("-") || part[1].includes("(") ? -1 : 1) * Number(plain + (part[3] || ""))
  }
  const values = told.map((_, i) => value(parts[i], digits[i]))
  return values.some(Number.isNaN) ? null : texts.map((text) => NOTHING.test(text) ? null : values.shift())
}

// A long table comes in parts (services/render/parts.py), the last of which may still be written. Here they are one.
function partsOf(table) {
  const before = (block) => block.previousElementSibling || block.closest(".tail")?.previousElementSibling
  const after = ({nextElementSibling: next}) => next?.matches(".tail") ? next.firstElementChild : next
  let first = table.closest(".table-block")
  while (first.matches("[data-continued]") && before(first)?.matches(".table-block")) { first = before(first) }
  const parts = [first]
  for (let next = after(first); next?.matches(".table-block[data-continued]"); next = after(next)) { parts.push(next) }
  return parts.map((part) => part.querySelector("table"))
}

const rowsOf = (parts) => [parts[0].rows[0], ...parts.flatMap((table) => [...table.tBodies].flatMap(({rows}) => [...rows]))]

function sortBy(head, say) {
  const parts = partsOf(head)
  const bodies = parts.flatMap(({tBodies}) => [...tBodies])
  if (!bodies.length || parts.at(-1).closest(".tail")) { return } // the next paint of what is being written would undo it
  for (const body of bodies) {
    if (!written.has(body)) { written.set(body, [...body.childNodes]) }
  }
  const next = {ascending: "descending", descending: null}
  const order = head.hasAttribute("aria-sort") ? next[head.getAttribute("aria-sort")] : "ascending"
  for (const other of parts.flatMap(({rows}) => [...rows[0].cells])) {
    if (order && other.cellIndex === head.cellIndex) { other.setAttribute("aria-sort", order) } else { other.removeAttribute("aria-sort") }
  }
  for (const body of bodies) { body.replaceChildren(...written.get(body)) }
  const rows = bodies.flatMap((body) => [...body.rows])
  if (order) {
    const texts = rows.map((row) => row.cells[head.cellIndex] ? words(row.cells[head.cellIndex]) : "")
    const numbers = numbersOf(texts)
    const keys = new Map(rows.map((row, i) => [row, numbers ? numbers[i] : NOTHING.test(texts[i]) ? null : texts[i]]))
    const compare = numbers ? (a, b) => a - b : (a, b) => a.localeCompare(b, undefined, {numeric: true, sensitivity: "base"})
    const sign = order === "ascending" ? 1 : -1
    rows.sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)]
      return a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b) // nothing comes last, both ways
    })
    const counts = bodies.map((body) => body.rows.length)
    bodies.forEach((body, i) => body.append(...rows.splice(0, counts[i])))
  }
  const name = words(head) || `column ${head.cellIndex + 1}`
  say(order ? `Sorted by ${name}, ${order}.` : "In the order as written.")
}

// What a spreadsheet would take for a formula, and run (https://owasp.org/www-community/attacks/CSV_Injection), becomes a
// text by an apostrophe before it. A number is one whatever its sign.
const FORMULA = /^\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/
const HARMLESS = /^(?:-|[+-]?\d+(?:[.,]\d+)*\s?%?)$/
const defused = (text) => FORMULA.test(text) && !HARMLESS.test(text) ? `'${text}` : text

// RFC 4180.
function csvOf(rows) {
  const quoted = (text) => /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  const field = (text) => quoted(defused(text))
  return rows.map((row) => [...row.cells].map((cell) => field(words(cell))).join(",")).join("\r\n") + "\r\n"
}

function markdownTable([head, ...rows]) {
  const line = (cells) => `| ${cells.join(" | ")} |`
  const rules = {"align-left": ":---", "align-center": ":---:", "align-right": "---:"}
  const cells = (row) => [...row.cells].map((cell) => inlineMarkdown(cell).replace(/\s+/g, " ").trim())
  return [line(cells(head)), line([...head.cells].map((cell) => rules[cell.className] || "---")), ...rows.map((row) => line(cells(row)))].join("\n") + "\n"
}

// The Markdown of a cell, with its pipes escaped.
function inlineMarkdown(node) {
  if (node.nodeType === Node.TEXT_NODE) { return node.data.replace(/[\\`*[\]<|]|(?<!\w)_|_(?!\w)/g, "\\$&") }
  if (node.nodeType !== Node.ELEMENT_NODE || node.matches(".leads-to, button:not(.sort)")) { return "" }
  const inside = () => [...node.childNodes].map(inlineMarkdown).join("")
  const code = (text) => {
    const ticks = "`".repeat(1 + Math.max(0, ...(text.match(/`+/g) || []).map((run) => run.length)))
    const space = /^`|`$/.test(text) ? " " : ""
    return (ticks + space + text + space + ticks).replaceAll("|", "\\|")
  }
  switch (node.localName) {
    case "strong": return `**${inside()}**`
    case "em": return `*${inside()}*`
    case "s": return `~~${inside()}~~`
    case "code": return node.matches(".tex") ? node.textContent.replaceAll("|", "\\|") : code(node.textContent)
    case "math": return texOf(node).replaceAll("|", "\\|")
    case "a": return `[${inside()}](<${(node.getAttribute("href") || "").replaceAll("|", "%7C")}>)`
    case "input": return node.hasAttribute("checked") ? "[x]" : "[ ]"
    case "sup": return node.dataset.note ? `[^${node.dataset.note}]` : inside()
    case "br": return " "
    default: return inside()
  }
}

function tables(list, say) {
  list.addEventListener("click", async (event) => {
    const sort = event.target.closest("button.sort")
    if (sort) { sortBy(sort.closest("th"), say) }
    const copy = event.target.closest("button.copy-table")
    if (!copy) { return }
    const rows = rowsOf(partsOf(copy))
    const label = copy.textContent
    let said = "Copied"
    try { await writeClipboard(copy.dataset.as === "csv" ? csvOf(rows) : markdownTable(rows)) } catch { said = "Could not copy" }
    copy.textContent = said
    setTimeout(() => { copy.textContent = label }, 1600)
  })
  list.addEventListener("scroll", ({target}) => {
    if (!target.matches?.(".table-scroll")) { return }
    for (const {parentNode: part} of partsOf(target)) { part.scrollLeft = target.scrollLeft }
  }, true)
}
