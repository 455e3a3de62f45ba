// Where everything in the list is, though only what is in view is drawn or even here: heights are known beforehand.

const OVERSCAN = 10 // rows drawn beyond the view
const AHEAD = 20 // rows asked for beyond those

function geometryOf(sections, touch) {
  const height = {row: touch ? 44 : 38, folder: touch ? 44 : 38, pinned: 32, day: 32}
  let top = 0
  let row = 0
  const blocks = sections.map(([kind, name, count, depth, holds]) => {
    const block = {kind, name, count, depth, holds, top, row, rows: top + height[kind]}
    top = block.rows + count * height.row
    row += count
    return block
  })
  return {
    blocks,
    count: row,
    height: top,
    rowHeight: height.row,
    topOf(index) {
      const block = blocks.findLast((one) => one.row <= index && one.count)
      return block ? block.rows + (index - block.row) * height.row : 0
    },
    // The rows of a block between two heights.
    within(block, from, to) {
      const first = Math.max(0, Math.floor((from - block.rows) / height.row))
      const last = Math.min(block.count, Math.ceil((to - block.rows) / height.row))
      return [block.row + first, block.row + Math.max(first, last)]
    },
  }
}
