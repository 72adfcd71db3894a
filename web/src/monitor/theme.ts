// The style sheet's colours, for what is drawn on canvases.

const style = getComputedStyle(document.documentElement)
const kept = new Map<string, string>()

export function colour(name: string): string {
	let value = kept.get(name)
	if (value === undefined) kept.set(name, (value = style.getPropertyValue(`--${name}`).trim()))
	return value
}

/** onTheme is called when the colours have changed. */
export function onTheme(changed: () => void): void {
	matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => {
		kept.clear()
		changed()
	})
}

/** cellColour tells neighbouring cells apart: each is the golden angle from the one before. */
export const cellColour = (cell: number, alpha = 1): string =>
	`hsl(${Math.round((200 + cell * 137.508) % 360)} 72% ${colour('cell-light')} / ${alpha})`
