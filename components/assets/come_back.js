// Coming back to a server that was out of reach. It stands in the page itself: a page that was cut off while it came
// has no component yet that could bring it back.
{
  const KEPT_CONNECTIONS = 6 // to one server, in every browser
  const PATIENCE_MS = 30_000
  const begun = performance.now()
  const passed = () => performance.now() - begun
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

  // Any answer will do that is not a proxy's word for a server that is away.
  async function asked(requests) {
    const ask = async () => {
      const answer = await fetch(location.href, {method: "HEAD", cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(2000)})
      if (answer.status >= 500) { throw new Error("away") }
    }
    try {
      await Promise.any(Array.from({length: requests}, ask))
      return "there"
    } catch (away) {
      return away.errors.some((error) => error.name === "TimeoutError") ? "silent" : "away"
    }
  }

  // Load the page afresh as soon as the server answers, while it is `lost` and once it is `sure` that nothing else
  // helps. A fresh page has everything: the conversation from the address, the draft from the browser, the reply from
  // storage.
  window.panelistComeBack = async (lost, sure) => {
    for (let requests = 1; lost();) {
      await pause(1000)
      const said = await asked(requests)
      // A browser keeps connections, and after a sleep they may all be dead. Given up together they are out of the way.
      requests = said === "silent" ? KEPT_CONNECTIONS : 1
      if (said === "there" && lost() && sure()) {
        location.reload()
        await pause(PATIENCE_MS) // it may hang on a line that is gone once more
      }
    }
  }

  // From when the conversation is there it brings itself back; until then this watches. What keeps a page from coming
  // may stay, so each try waits twice as long as the one before.
  const tries = history.state?.tries || 0
  // The first view lets the scripts come after it, and says when one of them does not.
  const missing = () => window.panelistFirst ? window.panelistBroken === true : typeof Bokeh === "undefined"
  const broken = () => _wsError || missing() || (passed() > PATIENCE_MS && !window.Bokeh?.documents?.length)
  let here = false
  window.panelistIsHere = () => {
    here = true
    history.replaceState({...history.state, tries: 0}, "")
  }
  const watch = setInterval(() => {
    if (here) { clearInterval(watch) }
    else if (broken() && passed() > Math.min(1000 * 2 ** tries, 60_000)) {
      clearInterval(watch)
      history.replaceState({...history.state, tries: tries + 1}, "")
      window.panelistComeBack(() => !here, () => true)
    }
  }, 1000)
}
