// Where a reader is in a conversation, and where they were when they left it; also for the page's first view.

const PLACES = "panelist.places"
const KEPT_PLACES = 200 // conversations

// A message's distance from the top of everything, whatever is scrolled.
function heightOf(node, log) {
  return node.getBoundingClientRect().top - log.getBoundingClientRect().top + log.scrollTop
}

// The first of nodes that lie below one another which ends below `edge`.
function firstBelow(nodes, edge) {
  let [low, high] = [0, nodes.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (nodes[middle].getBoundingClientRect().bottom > edge) { high = middle } else { low = middle + 1 }
  }
  return nodes[low]
}

const blocksOf = (article) => [...article.querySelector(":scope > .body").children].filter((node) => !node.matches(".tail"))

// What is at the top of the view: a message, the block of it, and the innermost item of that.
function topOf(log, list) {
  const edge = log.getBoundingClientRect().top + 1
  const article = firstBelow(list.children, edge)
  if (!article) { return null }
  const body = article.querySelector(":scope > .body").getBoundingClientRect()
  const next = article.nextElementSibling
  // The body of a message that is not laid out yet is higher than its place.
  const ends = Math.min(body.bottom, article.getBoundingClientRect().bottom)
  if ((ends <= edge || body.bottom > ends + 1) && next) { return {article: next, part: -1, node: next} }
  const blocks = blocksOf(article)
  const block = firstBelow(blocks, edge)
  if (!block || body.top > edge) { return {article, part: -1, node: article} }
  let node = block
  while (node.matches("ul, ol, dl, li, dd, blockquote") && node.getBoundingClientRect().top < edge) {
    const inner = firstBelow(node.children, edge)
    if (!inner) { break }
    node = inner
  }
  return {article, part: blocks.indexOf(block), node}
}

// The same in words that last: a message, the number of its block, and how far that is below the top of the view.
function placeIn(log, list) {
  const top = topOf(log, list)
  if (!top) { return null }
  const {article, part} = top
  const block = part < 0 ? article : blocksOf(article)[part]
  return {m: article.dataset.messageId, p: part, d: Math.round(10 * (heightOf(block, log) - log.scrollTop)) / 10}
}

// Go to such a place, and say whether it was there.
function goToPlace(log, list, {m, p, d}) {
  const articles = [...list.children]
  const at = articles.findIndex((article) => article.dataset.messageId === m)
  if (at < 0) { return false }
  // What will be seen gets its true height at once; else the end could be nearer than it is.
  for (let next = at, room = log.clientHeight; next < articles.length && room > 0; next++) {
    articles[next].style.contentVisibility = "visible"
    if (next > at) { room -= articles[next].offsetHeight }
  }
  log.scrollTop = heightOf((p >= 0 && blocksOf(articles[at])[p]) || articles[at], log) - d
  return true
}

function placesIn(storage) {
  try { return Object(JSON.parse(read(storage, PLACES))) } catch { return {} } // none, or damaged
}

// Each tab goes back to where it was itself; a new one to where the last of them was. Nothing kept: at the end.
function keptPlace(conversation) {
  for (const storage of [OWN, SHARED]) {
    const place = placesIn(storage)[conversation]
    if (place === null || typeof place?.m === "string") { return place }
  }
  return null
}

function keepPlace(conversation, place) {
  if (isTemporary(conversation)) { return }
  for (const storage of [OWN, SHARED]) {
    const places = placesIn(storage)
    delete places[conversation] // the last one used stands last
    places[conversation] = place
    for (const old of Object.keys(places).slice(0, -KEPT_PLACES)) { delete places[old] }
    put(storage, PLACES, JSON.stringify(places))
  }
}
