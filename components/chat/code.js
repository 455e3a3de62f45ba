// Blocks of code: copied, folded, numbered and wrapped. Their buttons come with the HTML (services/render/code.py); what
// is on is in `aria-pressed` and `aria-expanded`, and the styles follow that.

const pressed = (block, name) => block.querySelector(`:scope > .code-head > .${name}`)?.getAttribute("aria-pressed") === "true"
const folded = (pre) => pre.nextElementSibling?.getAttribute("aria-expanded") === "false"

async function copyCode(button) {
  let said = "Copied"
  try { await writeClipboard(button.closest(".code-block").querySelector("pre").textContent) } catch { said = "Could not copy" }
  button.textContent = said
  setTimeout(() => { button.textContent = "Copy code" }, 1600)
}

function setFold(button, open) {
  const lines = Number(button.parentNode.dataset.lines)
  button.setAttribute("aria-expanded", open)
  button.textContent = open ? "Show fewer lines" : `Show all ${lines.toLocaleString("en")} lines`
}

// Numbers are an attribute that the styles show: they can neither be selected nor copied. Where lines are wrapped, each
// number is followed by as many empty lines as its line takes more.
function numberLines(block) {
  const pre = block.querySelector(":scope > pre")
  if (!pressed(block, "code-numbers")) {
    delete pre.dataset.numbers
    return
  }
  const lines = pre.textContent.replace(/\n$/, "").split("\n")
  const numbers = lines.map((_, i) => `${i + 1}`)
  pre.dataset.numbers = numbers.join("\n")
  if (pressed(block, "code-wrap")) {
    const tops = lineTops(pre.firstElementChild, lines)
    const height = parseFloat(getComputedStyle(pre).lineHeight)
    const rows = (i) => Math.max(1, Math.round((tops[i + 1] - tops[i]) / height))
    pre.dataset.numbers = numbers.map((number, i) => number + "\n".repeat(rows(i) - 1)).join("\n")
  }
}

// Where each line begins, and where the last one ends.
function lineTops(code, lines) {
  const texts = document.createTreeWalker(code, NodeFilter.SHOW_TEXT)
  const range = document.createRange()
  const tops = []
  let node = texts.nextNode()
  let passed = 0 // characters before `node`
  let at = 0
  for (const line of lines) {
    while (node && at >= passed + node.length) {
      passed += node.length
      node = texts.nextNode()
    }
    if (node) {
      range.setStart(node, at - passed)
      range.setEnd(node, at - passed + 1)
      tops.push((range.getClientRects()[0] || range.getBoundingClientRect()).top)
    } else { tops.push(tops.at(-1)) } // an empty last line has no character
    at += line.length + 1
  }
  return [...tops, code.getBoundingClientRect().bottom]
}

function codeBlocks(list, log, hold) {
  list.addEventListener("click", (event) => {
    const button = event.target.closest(".code-block button")
    if (!button) { return }
    const block = button.closest(".code-block")
    if (button.matches(".copy-code")) { copyCode(button) }
    if (button.matches(".code-numbers, .code-wrap")) {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true")
      numberLines(block)
    }
    if (button.matches(".fold")) {
      const open = button.getAttribute("aria-expanded") !== "true"
      if (open) { hold() } // what opens does so downwards, also at the end
      const top = button.getBoundingClientRect().top
      setFold(button, open)
      if (!open) { log.scrollTop += button.getBoundingClientRect().top - top } // what was clicked stays under the pointer
    }
  })
  // The browser's own search looks into folded code, and moves it to what it found.
  list.addEventListener("scroll", ({target: pre}) => {
    if (!pre.matches?.(".code-block > pre") || !pre.scrollTop || !folded(pre)) { return }
    const found = pre.scrollTop
    hold()
    setFold(pre.nextElementSibling, true)
    pre.scrollTop = 0
    log.scrollTop += found
  }, true)
  // What was written on this page folds as it would have when opened, but not under its reader: once it is out of view.
  const away = new IntersectionObserver((seen) => {
    for (const {target: block, isIntersecting} of seen) {
      if (isIntersecting || block.matches(":focus-within")) { continue }
      away.unobserve(block)
      delete block.dataset.streamed
    }
  }, {root: log})
  function written(body) {
    for (const block of body.querySelectorAll(".code-block[data-lines]")) {
      block.dataset.streamed = ""
      away.observe(block)
    }
    delete body.dataset.streamed
  }
  const renumber = () => list.querySelectorAll(".code-block:has(> pre[data-numbers])").forEach(numberLines)
  window.addEventListener("resize", renumber)
  function leave() {
    away.disconnect()
    window.removeEventListener("resize", renumber)
  }
  return {written, leave}
}
