// How long the message is with all that goes with it, and what can be done when that is too long. The server counts: it
// is told what of the draft has changed, when typing rests for a moment, and once more before something is sent that
// may be too long.

const WEIGH_MS = 300 // between two times that a draft is told
const LONG_DRAFT = 20_000 // characters from which on it is told only when typing has come to rest
const REST_MS = 1500
const BYTES = 3 // a character has at most, as JavaScript counts them, and a token at least one
const WAIT_MS = 4000 // after which a message goes without a word on its length

// What turns one text into another: so many characters are cut at a place, and these put in.
function changeOf(before, after) {
  const most = Math.min(before.length, after.length)
  const halves = (text, at) => /[\udc00-\udfff]/.test(text[at] ?? "") // of a character are not parted
  let at = 0
  while (at < most && before[at] === after[at]) { at += 1 }
  while (at > 0 && (halves(before, at) || halves(after, at))) { at -= 1 }
  let end = 0
  while (end < most - at && before.at(-1 - end) === after.at(-1 - end)) { end += 1 }
  while (end > 0 && halves(after, after.length - end)) { end -= 1 }
  return {of: before.length, at, cut: before.length - at - end, text: after.slice(at, after.length - end)}
}

// `chat()` is the one on show, `files()` what goes with its draft; `post(text, now)` sends.
function gauging({model, box, chat, files, isLost, isWriting, post}) {
  const root = () => box.getRootNode()
  const bar = element("span", {})
  const meter = element("div", {class: "meter", role: "meter", "aria-label": "Context", "aria-valuemin": "0", hidden: ""}, bar)
  const open = element("button", {type: "button", class: "weight", "aria-expanded": "false", title: "What fills the context", onclick: () => unfold(panel.hidden)})
  const line = element("div", {class: "gauge", hidden: ""}, meter, open)
  const parts = element("dl", {})
  const about = element("p", {})
  const panel = element("section", {class: "context", "aria-label": "What fills the context", tabindex: "-1", hidden: ""}, parts, about)
  const said = element("p", {role: "alert"})
  const acts = element("div", {class: "acts"})
  const choices = element("section", {class: "choices", "aria-label": "Too long for the model", hidden: ""}, said, acts)

  let told = {chat: null, text: "", files: "[]"} // what the server has
  let number = 0
  let waiting = false
  let timer = 0
  let weight = null // what it said last, of what was told then
  let held = null // a message that waits for its weight: {now, timer}
  let working = false // the conversation is being made shorter
  let wanted = null // the message that is sent when it is: {chat, text, now}
  let asked = false // something else than the draft is too long, and waits at the server for a decision

  const sent = () => { told = {chat: chat(), text: "", files: "[]"} } // the server takes it so, too
  const given = () => JSON.stringify(files())
  const isTold = () => told.chat === chat() && told.text === box.value && told.files === given()

  // --- the draft goes to the server ---------------------------------------------------------------------------------
  function soon() {
    if (waiting || isLost() || isTold()) { return }
    if (!box.value && !files().length) {
      if (isNew(chat())) { // there is nothing that could be counted
        sent()
        weight = null
        show()
        return
      }
      if (isWriting()) { return } // there is more when that is over
    }
    const long = box.value.length > LONG_DRAFT
    if (long) { clearTimeout(timer) } else if (timer) { return }
    timer = setTimeout(weigh, long ? REST_MS : WEIGH_MS)
  }
  function weigh() {
    clearTimeout(timer)
    timer = 0
    if (isLost()) { return }
    const change = changeOf(told.text, box.value)
    told = {chat: chat(), text: box.value, files: given()}
    waiting = true
    model.send_msg({type: "weigh", number: ++number, conversation: addressOf(told.chat), ...change, files: files()})
  }
  // The server has another text than this page thinks: it gets all of it.
  function again() {
    told = {...told, text: ""}
    weigh()
  }
  function heard(msg) {
    waiting = waiting && msg.number < number
    if (msg.number === number && told.chat === chat()) {
      weight = msg.view
      show()
      if (held && isTold()) { decide() }
    }
    soon()
  }

  // --- what it came to ----------------------------------------------------------------------------------------------
  const count = (number) => number.toLocaleString("en")
  function show() {
    line.hidden = !weight?.say
    if (line.hidden) { unfold(false) }
    if (!weight) { return }
    open.textContent = weight.say
    line.classList.toggle("over", weight.over)
    meter.hidden = weight.window === null
    if (weight.window !== null) {
      bar.style.inlineSize = `${Math.min(100, 100 * weight.total / weight.window)}%`
      meter.setAttribute("aria-valuemax", weight.window)
      meter.setAttribute("aria-valuenow", Math.min(weight.total, weight.window))
      meter.setAttribute("aria-valuetext", `about ${count(weight.total)} of ${count(weight.window)} tokens`)
    }
    parts.replaceChildren(...weight.parts.flatMap(([name, tokens]) => [element("dt", {}, name), element("dd", {}, count(tokens))]))
    about.textContent = weight.about
    if (!weight.over && !working && !asked) { close() }
  }
  function unfold(wide) {
    if (panel.hidden === !wide) { return }
    const inside = panel.contains(root().activeElement)
    panel.hidden = !wide
    open.setAttribute("aria-expanded", String(wide))
    if (wide) { panel.focus({preventScroll: true}) } else if (inside) { open.focus() }
  }
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") { return }
    event.preventDefault()
    unfold(false)
  })

  // --- before it is sent --------------------------------------------------------------------------------------------
  // Whether the message has to wait for a word. One that fits whatever it says, and one of which nothing is known, goes.
  function holds(now) {
    if (working && wanted?.chat === chat()) { return true }
    if (held || !weight || weight.room === null || told.chat !== chat() || isLost()) { return Boolean(held) }
    if (told.files === given() && box.value.length * BYTES * Math.max(1, weight.factor) <= weight.room) { return false }
    if (isTold() && !waiting) {
      if (weight.over) { ask(now) }
      return weight.over
    }
    held = {now, timer: setTimeout(() => go(), WAIT_MS)}
    weigh()
    return true
  }
  function release() {
    const {now, timer: patience} = held
    clearTimeout(patience)
    held = null
    return now
  }
  const go = () => post(release())
  function decide() {
    if (weight?.over) { ask(release()) } else { go() }
  }
  function ask(now) {
    if (asked) {
      asked = false
      choose("no")
    }
    wanted = {chat: chat(), text: box.value, now}
    if (choices.hidden) { explain("This is too long for the model.", []) }
    model.send_msg({type: "choices", conversation: addressOf(chat())})
  }
  function explain(text, list) {
    choices.hidden = false
    choices.classList.toggle("calm", working)
    said.textContent = text
    acts.replaceChildren(...list.map(([label, onclick, kind]) => element("button", {type: "button", class: kind ?? "step", onclick}, label)))
  }
  function offer({say, list, over = true}) {
    if (!wanted || wanted.chat !== chat()) { return }
    working = false
    const anyway = () => {
      const {now} = wanted
      close()
      post(now)
    }
    if (!over) { // by another model, or a shorter conversation, since it was measured
      anyway()
      return
    }
    explain(say, [
      ...list.map(({how, label, model: name}) => [label, () => fit(how, label, name)]),
      ["Send anyway", anyway], ["Not now", () => { close(); box.focus() }],
    ])
    acts.firstChild.focus()
  }
  // An edit, another answer, a message that waited: the server has it, and does with it what is chosen.
  function asks({say, list, focus}) {
    if (!say) {
      if (asked) {
        asked = false
        close()
      }
      return
    }
    wanted = null
    asked = true
    working = false
    said.setAttribute("role", "alert")
    explain(say, [
      ...list.map(({how, label, model: name}) => [label, () => settle(how, label, name)]),
      ["Send anyway", () => settle("anyway")], ["Not now", () => close()],
    ])
    if (focus) { acts.firstChild.focus() }
  }
  function settle(how, label, name) {
    if (how === "trim" || how === "summarise") {
      working = true
      explain(`${label}…`, [])
    }
    choose(how, name)
  }
  const choose = (how, name) => model.send_msg({type: "decide", how, model: name ?? null})
  function fit(how, label, name) {
    if (how === "picker") { close() } else {
      working = true
      explain(`${label}…`, [])
    }
    model.send_msg({type: "shorten", how, conversation: addressOf(chat()), model: name ?? null})
  }
  // A summary is being written, for a message that waits or for an answer that failed.
  function summing({say}) {
    if (!say) {
      if (!wanted && !asked) { close() }
      return
    }
    working = true
    if (choices.hidden || !acts.querySelector(".stopper")) {
      explain(say, [["Stop", () => model.send_msg({type: "shorten", how: "stop", conversation: null, model: null}), "step stopper"]])
      said.setAttribute("role", "status")
    } else { said.textContent = say }
  }
  function fitted({why, list}) {
    working = false
    said.setAttribute("role", "alert")
    const ready = wanted && wanted.chat === chat() && wanted.text === box.value
    if (why && ready) { offer({say: why, list}) } else if (ready) {
      held = {now: wanted.now, timer: setTimeout(() => go(), WAIT_MS)}
      wanted = null
      choices.hidden = true
      weigh() // what is left may be too long still
    } else { close() }
  }
  function close() {
    if (choices.hidden) { return }
    const inside = choices.contains(root().activeElement)
    choices.hidden = true
    working = false
    wanted = null
    if (asked) {
      asked = false
      if (!isLost()) { choose("no") }
    }
    if (inside) { box.focus() }
  }
  choices.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || working) { return }
    event.preventDefault()
    close()
    box.focus()
  })

  return {
    line, panel, choices, holds, sent,
    update() {
      if (told.chat !== chat()) { left() }
      soon()
    },
    lost() {
      waiting = false
      if (held) { release() }
      close()
    },
    found: weigh,
    // Take what the server says of it; whether it was that.
    heard(msg) {
      const hear = {weight: heard, weigh_again: again, choices: offer, asks, summing, fitted}[msg.type]
      hear?.(msg)
      return Boolean(hear)
    },
    leave() {
      clearTimeout(timer)
      if (held) { release() }
    },
  }

  // Another chat is on show.
  function left() {
    if (held) { release() }
    waiting = false
    weight = null
    line.hidden = true
    unfold(false)
    if (!working) { close() }
  }
}
