// Posts an identify and a track for each number from FROM to TO with @jitsu/js.
const { jitsuAnalytics } = require('@jitsu/js')

const { URL: host, KEY: writeKey, FROM, TO } = process.env
async function main() {
  for (let n = Number(FROM); n < Number(TO); n++) {
    const jitsu = jitsuAnalytics({ host, writeKey, s2s: true })
    const email = `node${n}@acme.io`
    await jitsu.identify(`u-${n}`, { email })
    await jitsu.track('Signed Up', { plan: 'pro' })
  }
}
main()
