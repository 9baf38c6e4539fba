// Posts an identify and a track for each number from FROM to TO with @segment/analytics-node.
const { Analytics } = require('@segment/analytics-node')

const { URL: host, KEY: writeKey, FROM, TO } = process.env
const analytics = new Analytics({ host, writeKey, flushAt: 5, flushInterval: 100 })
analytics.on('error', (error) => console.error(error))
for (let n = Number(FROM); n < Number(TO); n++) {
  const traits = { email: `node${n}@acme.io` }
  analytics.identify({ userId: `u-${n}`, traits })
  analytics.track({ userId: `u-${n}`, event: 'Signed Up', context: { traits } })
}
analytics.closeAndFlush({ timeout: 30000 })
