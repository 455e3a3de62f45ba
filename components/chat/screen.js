// Where a phone's keyboard covers the page instead of making it smaller (Safari), the page is made to end above it.

const LEAST_KEYBOARD = 80 // px; less is a bar that comes and goes

// The height that can be seen, whatever the reader's fingers have zoomed.
const visibleHeight = () => window.visualViewport ? visualViewport.height * visualViewport.scale : innerHeight

function aboveKeyboard(changed) {
  let before = ""
  const fit = () => {
    const root = document.documentElement
    const height = visibleHeight()
    if (innerHeight - height > LEAST_KEYBOARD) {
      root.style.setProperty("--panelist-height", `${Math.floor(height)}px`)
      if (visualViewport.scale < 1.01) { window.scrollTo(0, 0) } // it was pushed up, to show the text box
    } else {
      root.style.removeProperty("--panelist-height")
    }
    const now = `${innerWidth} ${height}`
    if (now !== before) { changed() }
    before = now
  }
  window.addEventListener("resize", fit)
  for (const type of ["resize", "scroll"]) { window.visualViewport?.addEventListener(type, fit) }
  return () => {
    window.removeEventListener("resize", fit)
    for (const type of ["resize", "scroll"]) { window.visualViewport?.removeEventListener(type, fit) }
  }
}
