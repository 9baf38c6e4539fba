// Runs what the test asks for and says what came of it; notes every answer that this page gets.
const asked = new URLSearchParams(location.search)
const server = asked.get('server')
const answers = []

const plainFetch = window.fetch.bind(window)
window.fetch = async (...about) => {
  const address = String(about[0]?.url ?? about[0])
  try {
    const answer = await plainFetch(...about)
    if (address.startsWith(server)) answers.push(answer.status)
    return answer
  } catch (error) {
    if (address.startsWith(server)) answers.push(0)
    throw error
  }
}
const plainSend = XMLHttpRequest.prototype.send
XMLHttpRequest.prototype.send = function (...about) {
  this.addEventListener('loadend', () => answers.push(this.status))
  return plainSend.apply(this, about)
}

const later = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds))
const Piece = (async () => {}).constructor

async function obey() {
  for (;;) {
    const command = await (await plainFetch('/command')).text()
    if (!command) continue
    let said
    try {
      said = { value: (await new Piece(command)()) ?? null }
    } catch (error) {
      said = { error: String(error?.stack ?? error) }
    }
    await plainFetch('/said', { method: 'POST', body: JSON.stringify(said) })
  }
}
window.addEventListener('load', obey)
