// Follow, pin or free: nothing moves under the reader's eyes.
//
// Following, the end stays in view. Free, the block at the top of the view is the anchor: whatever changes above it, it
// stays where it is. Pinned is free with the question at the top and room below it for an answer that is not there yet.

const NEAR = 1.5 // views from the top, where older messages are asked for
const PIN = "panelist.pin"

function scrolling({log, list, older, room, jump, ask}) {
  let here = null // the conversation on show
  let following = true
  let anchor = null // {node, y, article, articleY}: what stays where it is
  let pinned = null // the question at the top, which has room below
  let resting = false // it was not scrolled since
  let wanted = null // a place that is not loaded yet
  let landed = null // where the reader was brought, until they scroll: scrollTop is rounded, and that would add up
  let lastTop = 0
  let asking = false
  let kept = ""
  let keeping = null
  let pinning = read(SHARED, PIN) === "1"

  const left = () => log.scrollHeight - log.scrollTop - log.clientHeight - room.offsetHeight
  const atEnd = () => left() < 24
  const scrollable = () => log.scrollHeight > log.clientHeight + 1
  const update = () => { jump.hidden = following || !scrollable() || atEnd() }
  function toEnd() {
    log.scrollTop = log.scrollHeight
    lastTop = log.scrollTop
  }
  const hang = (node, article) => { anchor = {node, y: heightOf(node, log), article, articleY: heightOf(article, log)} }
  function pick() {
    const top = topOf(log, list)
    if (top) { hang(top.node, top.article) } else { anchor = null }
  }
  // What is above has changed since the anchor was picked: go with it.
  function hold() {
    if (!anchor) { return }
    const whole = !anchor.node.isConnected // it was rendered afresh
    if (whole && !anchor.article.isConnected) { pick(); return }
    const shift = whole ? heightOf(anchor.article, log) - anchor.articleY : heightOf(anchor.node, log) - anchor.y
    if (Math.abs(shift) < 0.5) { return }
    const before = log.scrollTop
    log.scrollTop += shift
    const moved = log.scrollTop - before
    lastTop += moved
    if (whole || Math.abs(shift - moved) > 1) { pick() } else { anchor.y += moved; anchor.articleY += moved }
  }
  const pinnedAt = () => {
    const y = heightOf(pinned, log)
    return Math.max(y - 8, y + pinned.offsetHeight - 0.4 * log.clientHeight) // of a long question, its end
  }
  function makeRoom() {
    if (!pinned) { return }
    const bottom = heightOf(room, log) + parseFloat(getComputedStyle(log.firstElementChild).paddingBottom)
    const need = pinned.isConnected ? pinnedAt() + log.clientHeight - bottom : 0
    const height = Math.max(0, Math.ceil(need))
    if (height !== room.offsetHeight) { room.style.height = `${height}px` }
  }
  function free() {
    following = false
    pick()
    update()
  }
  function unpin() {
    pinned = null
    resting = false
    room.style.height = "0"
  }
  function follow(on) {
    wanted = landed = null
    if (on) {
      following = true
      unpin()
      toEnd()
      update()
    } else { free() }
    keepSoon()
  }
  function pin(question) {
    following = false
    wanted = landed = null
    unpin()
    pinned = question
    question.style.contentVisibility = "visible"
    resting = true
    rest()
    free()
    hang(question, question)
    keepSoon()
  }
  function rest() {
    makeRoom()
    log.scrollTop = pinnedAt()
    lastTop = log.scrollTop
  }
  const lastQuestion = () => [...list.querySelectorAll(":scope > .user")].at(-1)

  // --- the place of each conversation -------------------------------------------------------------------------------
  function keep() {
    clearTimeout(keeping)
    keeping = null
    if (!here || wanted || !log.clientHeight || !list.firstChild) { return }
    const place = following ? null : landed || placeIn(log, list)
    const text = here + JSON.stringify(place)
    if (text !== kept) { keepPlace(here, place) }
    kept = text
  }
  function keepSoon() { keeping ??= setTimeout(keep, 300) }
  const leaving = () => { if (keeping) { keep() } }
  window.addEventListener("pagehide", leaving)
  document.addEventListener("visibilitychange", leaving)

  function goTo(place) {
    if (!goToPlace(log, list, place)) { return false }
    lastTop = log.scrollTop
    wanted = null
    free()
    landed = place
    if (atEnd()) { follow(true) }
    return true
  }
  // Messages above those on the page are fetched until it is there; the reader is at the end meanwhile.
  function land(place) {
    follow(true)
    if (place && !goTo(place)) {
      wanted = place
      ask({type: "reach", id: place.m})
    }
  }

  // --- what the reader does -----------------------------------------------------------------------------------------
  function near() {
    if (asking || older.hidden || log.scrollTop > NEAR * log.clientHeight) { return }
    asking = true
    ask({type: "older"})
  }
  log.addEventListener("scroll", () => {
    if (!following) { hold() }
    const top = log.scrollTop
    const [up, down] = [top < lastTop - 1, top > lastTop + 1]
    if (resting && up && log.scrollHeight - log.clientHeight - top < 1.5) { rest(); return } // too short for a moment
    lastTop = top
    if (up || down) { landed = null; resting = false }
    // A page that shrank also lowers scrollTop; only a reader who is away from the end has scrolled up.
    if (following) { if (up && !atEnd()) { follow(false) } }
    else if (down && atEnd() && !room.offsetHeight) { follow(true) }
    else { pick(); update() }
    if (up && !following) { near() }
    keepSoon()
  }, {passive: true})
  log.addEventListener("wheel", (event) => { if (following && event.deltaY < 0 && scrollable() && log.scrollTop > 0) { follow(false) } }, {passive: true})
  // Whoever has begun to read where they are is not taken elsewhere.
  for (const act of ["wheel", "touchmove", "pointerdown", "keydown"]) { log.addEventListener(act, () => { wanted = null }, {passive: true}) }

  function settle() {
    if (following) { toEnd() }
    // While the page changed it may have been too short for a moment, which lowers scrollTop.
    else if (resting && pinned?.isConnected) { rest(); hang(pinned, pinned) }
    else { makeRoom(); hold() }
    update()
  }
  const sizes = new ResizeObserver(settle)
  for (const node of [list, older, log]) { sizes.observe(node) }

  return {
    follow,
    settle,
    get pinning() { return pinning },
    choose(on) {
      pinning = on
      put(SHARED, PIN, on ? "1" : "0")
    },
    // Show a message, or a heading in one, at the top.
    show(node) {
      const article = node.closest("article")
      wanted = landed = null
      resting = false
      goToPlace(log, list, {m: article.dataset.messageId, p: -1, d: 8})
      if (node !== article) { log.scrollTop = heightOf(node, log) - 8 }
      lastTop = log.scrollTop
      free()
      hang(node, article)
      keepSoon()
    },
    // Before another conversation, or this one afresh, takes its place.
    leave() { if (keeping) { keep() } },
    // A conversation is there, in full.
    arrived(id) {
      here = id || null
      asking = false
      anchor = null
      unpin()
      const place = here && keptPlace(here)
      land(place)
      const question = lastQuestion()
      if (pinning && place && question?.dataset.messageId === place.m && question.nextSibling?.dataset.status === "streaming") { pin(question) }
      if (!window.panelistFirst) { return }
      window.panelistFirst.meet({transcript({place: seen, touched}) {
        if (seen) { goTo(seen) } else if (touched) { follow(true) }
      }})
    },
    changed(id, mine) {
      here = id || null
      asking = false
      if (!mine) { settle(); return }
      const question = lastQuestion()
      if (pinning && question) { pin(question) } else { follow(true) } // at once: where the page was before it grew is no reader's choice
    },
    // Everything up to the place that was wanted is there, as far as there is any of it.
    reached() {
      const place = wanted
      wanted = null
      if (place) { goTo(place) }
    },
    end() {
      leaving()
      sizes.disconnect()
      window.removeEventListener("pagehide", leaving)
      document.removeEventListener("visibilitychange", leaving)
    },
  }
}
