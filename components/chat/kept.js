// What the text box keeps in the browser: drafts, and messages that were sent and are not stored yet.

const MOST_KEPT = 200_000 // characters of a draft that are kept for all visits; a longer one only for this tab's
const LEFT_MS = 60_000 // after which the outbox of a tab is another one's, where nobody can say whether it lives

const NEW = "new"
const BLANK = `${TEMPORARY}${NEW}`
const isNew = (chat) => /^(temporary:)?new(:|$)/.test(chat)
const blankOf = (chat) => isTemporary(chat) ? BLANK : NEW
// A chat as the server knows it.
const addressOf = (chat) => !isNew(chat) ? chat : isTemporary(chat) ? BLANK : null

// Texts, or what is kept as one, by chat: the id of a conversation, "new", or "new:" and a key for one whose first
// message is on its way. What begins with "temporary:" is kept by the page alone.
// This tab's own text comes first; the shared one is that of the tab which wrote last, for the next visit. What cannot
// be stored lives as long as the page.
function makeDrafts(prefix = "panelist.draft.") {
  const texts = new Map()
  const seen = new Map() // what this page has read from, or written to, the shared place
  const nameOf = (chat) => `${prefix}${chat}`
  return {
    keep(chat, text) {
      const name = nameOf(chat)
      texts.set(name, text)
      if (isTemporary(chat)) { return }
      put(OWN, name, text)
      if (text && text.length <= MOST_KEPT) {
        if (put(SHARED, name, text)) { seen.set(name, text) }
      } else if (read(SHARED, name) === (seen.get(name) ?? "")) { // another tab's stays
        put(SHARED, name, "")
      }
    },
    get(chat) {
      const name = nameOf(chat)
      if (isTemporary(chat)) { return texts.get(name) || "" }
      const own = texts.get(name) || read(OWN, name)
      if (own) {
        if (!seen.has(name)) { seen.set(name, own) }
        return own
      }
      const text = read(SHARED, name)
      seen.set(name, text)
      return text
    },
    shared: (chat) => read(SHARED, nameOf(chat)),
  }
}

// Whether no other page has this name, which it then keeps as long as it lives; a tab that is duplicated has the name
// of the first. Browsers have locks on this machine and over https only.
function claim(name) {
  if (!navigator.locks) { return Promise.resolve(true) }
  return new Promise((resolve) => {
    const keep = () => {
      resolve(true)
      return new Promise(() => {})
    }
    navigator.locks.request(name, {signal: AbortSignal.timeout(1000)}, keep).catch(() => resolve(false))
  })
}
async function claimed() {
  if (!navigator.locks) { return null }
  return new Set((await navigator.locks.query()).held.map(({name}) => name))
}

// Messages that were sent, in this order, until the server has stored them: {key, text, files, now, chat, at, tab,
// state, gone}.
// - waiting: goes to the server, one at a time. Its key makes it the same request however often it goes: after a lost
//   word, a reload, a night asleep.
// - refused: its text is back in the text box. Sent again unchanged it is the same request.
// - held: behind one that was refused, and waits for a person.
function makeOutbox({transmit, giveBack, isLost, onSlow}) {
  const OUT = "panelist.out."
  const PATIENCE_MS = 15_000
  let messages = []
  let onItsWay = null // the key of one
  let tab = read(OWN, "panelist.tab") || randomKey()
  const tabName = (id) => `panelist.tab.${id}`

  const nameOf = ({key}) => OUT + key
  function keep(message, changes = {}) {
    Object.assign(message, changes)
    if (isTemporary(message.chat)) { return } // it lives as long as the page
    message.kept = [SHARED, OWN].find((storage) => put(storage, nameOf(message), JSON.stringify({...message, kept: undefined})))
  }
  function drop(key) {
    if (key === onItsWay) { onItsWay = null }
    for (const storage of [SHARED, OWN]) { put(storage, OUT + key, "") }
    const message = messages.find((one) => one.key === key)
    messages = messages.filter((one) => one !== message)
    return message
  }
  const of = (chat) => messages.filter((message) => message.chat === chat)
  const refusedIn = (chat) => of(chat).find(({state}) => state === "refused")
  function rehome(from, to) {
    for (const message of of(from)) { keep(message, {chat: to}) }
  }
  function pump() {
    if (onItsWay !== null || isLost()) { return }
    const next = messages.find(({state}) => state === "waiting")
    if (!next) { return }
    if (next.kept && !read(next.kept, nameOf(next))) { // another tab, which took this one for gone, has dealt with it
      drop(next.key)
      pump()
      return
    }
    onItsWay = next.key
    keep(next, {gone: true}) // it may be stored from now on, whatever is heard of it
    transmit(next)
    setTimeout(() => { if (onItsWay === next.key && !isLost()) { onSlow() } }, PATIENCE_MS)
  }
  function release(chat) {
    for (const message of of(chat)) {
      if (message.state === "held") { keep(message, {state: "waiting"}) }
    }
    pump()
  }
  return {
    pump,
    drop,
    of,
    find: (key) => messages.find((message) => message.key === key),
    last: () => messages.at(-1),
    rehome,
    refusedIn,
    // Take over what this tab, or one that is gone, had sent before the page came.
    async recall() {
      if (!await claim(tabName(tab))) {
        tab = randomKey()
        await claim(tabName(tab))
      }
      put(OWN, "panelist.tab", tab) // else it is another one after a reload
      const alive = await claimed()
      const isGone = (message) => alive ? !alive.has(tabName(message.tab)) : Date.now() - message.at > LEFT_MS
      for (const storage of [SHARED, OWN]) {
        let names = []
        try { names = Object.keys(storage).filter((name) => name.startsWith(OUT)) } catch { /* forbidden */ }
        for (const name of names) {
          try {
            const message = JSON.parse(read(storage, name))
            if (messages.some(({key}) => key === message.key) || !(message.tab === tab || isGone(message))) { continue }
            messages.push(message)
            keep(message, {tab})
          } catch { put(storage, name, "") }
        }
      }
      messages.sort((one, other) => one.at - other.at)
    },
    add(chat, text, now, files) {
      const again = refusedIn(chat)
      if (again?.text === text && JSON.stringify(again.files ?? []) === JSON.stringify(files)) {
        keep(again, {state: "waiting", now, tab})
      } else {
        // In the place of the refused one, before those that were held behind it.
        const behind = again ?? of(chat).find(({state}) => state === "held")
        const at = behind ? behind.at - 1 : Date.now()
        const message = {key: randomKey(), text, files, now, chat, at, tab, state: "waiting"}
        messages.splice(behind ? messages.indexOf(behind) : messages.length, 0, message)
        keep(message)
        if (again) { drop(again.key) }
      }
      release(chat)
    },
    release,
    refuse(key, why) {
      const message = messages.find((one) => one.key === key)
      if (!message) { return }
      onItsWay = null
      for (const other of of(message.chat)) {
        if (other.state === "waiting") { keep(other, {state: "held"}) }
      }
      keep(message, {state: "refused", why})
      giveBack(message.chat, message.text, message.files)
      pump()
    },
    // The line may have swallowed the message, or the word that it is stored: it goes again when the line is back.
    lost() { onItsWay = null },
  }
}
