// What a screen reader hears of an answer that is being written: its finished blocks, by whole sentences, now and then.
// The log itself is quiet, or every word would be read out.

const SAY_MS = 1000 // between two announcements
const SAY_CHARS = 400 // of one, unless a sentence is longer
const CATCH_UP_MS = 1000 // what a page is given when it comes was written before

function announcing(status) {
  let nodes = [] // finished blocks that wait to be read
  let texts = [] // sentences of those that were, in order
  let said = ""
  let timer = null
  let began = 0
  const blocks = new Map() // message -> how many of its blocks were heard

  function lines(node) {
    if (node.matches(".code-block, pre")) {
      const code = node.querySelector("code") || node
      const count = code.textContent.replace(/\n$/, "").split("\n").length
      return [`Code block, ${count} ${count === 1 ? "line" : "lines"}.`]
    }
    if (node.matches(".table-block, table")) {
      const count = node.querySelectorAll("tbody tr").length
      return [`Table, ${count} ${count === 1 ? "row" : "rows"}.`]
    }
    if (node.matches("hr")) { return [] }
    if (node.matches("ul, ol, dl, blockquote, section")) { return [...node.children].flatMap(lines) }
    if (node.matches("li, dd") && node.querySelector("ul, ol, pre, table, p, blockquote")) {
      const own = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE || !child.matches("ul, ol, dl, blockquote, div, p, pre, table"))
      return [...sentences(own), ...[...node.children].filter((child) => !own.includes(child)).flatMap(lines)]
    }
    return sentences([node])
  }
  function sentences(parts) {
    const text = parts.map((part) => part.nodeType === Node.ELEMENT_NODE ? wordsOf(part) : part.data).join("").replace(/\s+/g, " ").trim()
    if (text.length <= SAY_CHARS || !Intl.Segmenter) { return text ? [text] : [] }
    return [...new Intl.Segmenter(undefined, {granularity: "sentence"}).segment(text)].map(({segment}) => segment.trim())
  }
  function wordsOf(node) {
    if (!node.querySelector("math, button")) { return node.textContent }
    const copy = node.cloneNode(true)
    for (const math of copy.querySelectorAll("math")) { math.replaceWith(texOf(math)) }
    copy.querySelectorAll("button").forEach((control) => control.remove())
    return copy.textContent
  }
  function say(text) {
    if (text === said) { return }
    status.textContent = said = text
  }
  function next() {
    timer = null
    if (document.hidden) { nodes = []; texts = texts.filter((text) => text.last) }
    while (nodes.length && texts.length < 20) { texts.push(...lines(nodes.shift()).map((text) => ({text}))) }
    let now = ""
    while (texts.length && (!now || (!texts[0].last && now.length + texts[0].text.length < SAY_CHARS))) { now = `${now} ${texts.shift().text}`.trim() }
    if (now) { say(now) }
    if (nodes.length || texts.length) { timer = setTimeout(next, SAY_MS) }
  }
  // A little later than it was painted: a screen reader is in less of a hurry than the page.
  const soon = () => { timer ??= setTimeout(next, SAY_MS) }

  return {
    now(text) { status.textContent = said = text },
    // Another conversation, or this one afresh: what was about to be said is out of date.
    shown() {
      clearTimeout(timer)
      timer = null
      nodes = []
      texts = []
      began = performance.now()
    },
    // Blocks that are final were painted, after `last` and before `tail`.
    painted(id, last, tail, body) {
      const fresh = []
      for (let node = last ? last.nextElementSibling : body.firstElementChild; node && node !== tail; node = node.nextElementSibling) { fresh.push(node) }
      const heard = blocks.get(id) || 0
      const count = body.childElementCount - 1 - fresh.length // how many came before; one is the tail
      blocks.delete(id)
      blocks.set(id, Math.max(heard, count + fresh.length))
      if (blocks.size > 20) { blocks.delete(blocks.keys().next().value) }
      if (document.hidden || performance.now() - began < CATCH_UP_MS) { return }
      nodes.push(...fresh.slice(Math.max(0, heard - count)))
      soon()
    },
    ended(text) {
      while (nodes.length) { texts.push(...lines(nodes.shift()).map((line) => ({text: line}))) }
      texts.push({text, last: true})
      soon()
    },
    end() { clearTimeout(timer) },
  }
}
