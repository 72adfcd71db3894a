// The name under which this tab talks. Each tab has one of its own.

const first = [
  'Amber',
  'Brisk',
  'Calm',
  'Clever',
  'Gentle',
  'Golden',
  'Keen',
  'Lucky',
  'Merry',
  'Nimble',
  'Quiet',
  'Silver',
  'Sunny',
  'Swift',
  'Witty',
]
const second = [
  'Badger',
  'Crane',
  'Dolphin',
  'Falcon',
  'Finch',
  'Fox',
  'Heron',
  'Hare',
  'Lynx',
  'Marten',
  'Otter',
  'Owl',
  'Raven',
  'Seal',
  'Wren',
]

const any = (list) => list[Math.floor(Math.random() * list.length)]

export function myName() {
  return sessionStorage.getItem('name') ?? setMyName(`${any(first)} ${any(second)}`)
}

export function setMyName(name) {
  sessionStorage.setItem('name', name)
  return name
}
