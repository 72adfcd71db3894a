/** slope is that of the straight line which fits points [x, y] best, by least squares. */
export function slope(points) {
  const mean = i => points.reduce((sum, point) => sum + point[i], 0) / points.length
  const [x0, y0] = [mean(0), mean(1)]
  let over = 0
  let under = 0
  for (const [x, y] of points) {
    over += (x - x0) * (y - y0)
    under += (x - x0) ** 2
  }
  return over / under
}
