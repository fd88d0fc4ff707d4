// Plays the visits of plan.py by k6: phases one after the other, each with an arrival rate of its own (an open model:
// visitors come whether or not the service keeps up). Everything is counted by tags, so that the service's own counters
// can be held against it. Environment: PLAN (the visits), SETTINGS (address, phases, limits; see drive.py), SUMMARY
// (where the result goes).
import http from 'k6/http'
import exec from 'k6/execution'
import { check, sleep } from 'k6'
import { SharedArray } from 'k6/data'
import { Counter } from 'k6/metrics'

const settings = JSON.parse(open(__ENV.SETTINGS))
const visits = new SharedArray('visits', () => JSON.parse(open(__ENV.PLAN)))

const SOURCES = ['precomputed', 'session', 'history', 'popular', 'none']
const KINDS = ['landing', 'session', 'exclude', 'filter', 'similar']

const answers = new Counter('answers') // recommendations by the source that they name
const planned = new Counter('planned') // the same requests by the source that the plan expects
const statuses = new Counter('statuses') // all requests by route and status
const coldAnswers = new Counter('cold_answers')
const askedItems = new Counter('asked_items') // sum of k over answered recommendations
const givenItems = new Counter('given_items') // items in these answers
const lonelyItems = new Counter('lonely_items') // items that nothing is similar to
const elsewhere = new Counter('elsewhere') // answers from another source than expected

export const options = {
  scenarios: Object.fromEntries(settings.phases.map((phase) => [phase.name, scenario(phase)])),
  thresholds: thresholds(),
  summaryTrendStats: ['count', 'avg', 'med', 'p(95)', 'p(99)', 'max'],
  noUsageReport: true,
}

function scenario(phase) {
  return {
    executor: 'ramping-arrival-rate',
    startTime: `${phase.begin}s`,
    startRate: phase.visits_from,
    timeUnit: '1m',
    stages: [{ duration: `${phase.seconds}s`, target: phase.visits_to }],
    preAllocatedVUs: phase.visitors,
    maxVUs: 2 * phase.visitors,
    gracefulStop: `${settings.patience}s`, // visits that have begun are finished, so that both sides count the same
    env: { FIRST: `${phase.first}` },
  }
}

function thresholds() {
  const limits = {
    checks: ['rate==1'],
    http_req_failed: [`rate<=${settings.limits.failed}`],
    dropped_iterations: ['count==0'],
  }
  const seen = ['count>=0'] // not a limit: k6 reports a tag's own figures only when one is set
  for (const phase of settings.phases) {
    limits[`http_req_duration{phase:${phase.name}}`] = [`p(99)<=${phase.p99_ms}`]
  }
  limits['http_req_duration{phase:drain}'] = ['max>=0']
  for (const kind of KINDS) limits[`http_req_duration{kind:${kind}}`] = ['max>=0']
  for (const source of SOURCES) {
    limits[`answers{source:${source}}`] = seen
    limits[`planned{source:${source}}`] = seen
  }
  for (const route of ['/recommendations', '/similar_items']) {
    limits[`statuses{route:${route},status:200}`] = seen
  }
  for (const counter of ['cold_answers', 'asked_items', 'given_items']) limits[counter] = seen
  limits.elsewhere = [`count<=${settings.limits.elsewhere}`]
  return limits
}

export default function () {
  const first = Number(__ENV.FIRST)
  for (const request of visits[(first + exec.scenario.iterationInTest) % visits.length]) {
    if (request.pause > 0) sleep(request.pause)
    play(request)
  }
}

// The phase at this moment: a visit that began in one goes on into the next. After the last: drain.
function phaseNow() {
  const seconds = exec.instance.currentTestRunDuration / 1000
  const running = settings.phases.find((phase) => seconds < phase.begin + phase.seconds)
  return running ? running.name : 'drain'
}

function play(request) {
  const answer = http.request(request.method, settings.url + request.path, request.body || null, {
    headers: { 'Content-Type': 'application/json' },
    tags: { kind: request.kind, name: request.kind, phase: phaseNow() },
    timeout: '10s',
  })
  const route = request.path.split('?')[0]
  statuses.add(1, { route, status: `${answer.status}` })
  const content = answer.status === 200 ? answer.json() : { recs: [] }
  const items = content.recs.length
  check(answer, {
    'answered with 200': () => answer.status === 200,
    'no more items than asked for': () => items <= request.k,
    'all items that were asked for; under a filter at least one': () =>
      items === request.k || request.kind === 'similar' || (request.kind === 'filter' && items > 0),
    'no item twice': () => new Set(content.recs).size === items,
  })
  if (answer.status !== 200) return
  if (request.kind === 'similar') {
    if (items === 0) lonelyItems.add(1)
    return
  }
  answers.add(1, { source: SOURCES.includes(content.source) ? content.source : 'none' })
  planned.add(1, { source: request.source })
  askedItems.add(request.k)
  givenItems.add(items)
  if (request.cold) coldAnswers.add(1)
  if (content.source !== request.source) elsewhere.add(1)
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data) }
}
