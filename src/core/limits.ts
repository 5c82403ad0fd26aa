/**
 * Every limit of the process, with its reason. A limit that nothing enforces does not belong here.
 *
 * @module
 */

/** One log line for the same event and facts in this time: a steady fault is one line a minute. */
export const logRepeatMs = 60_000;
/** Lines remembered to know their like by, some 150 bytes each. */
export const logRepeatsMax = 10_000;

/** As many profiles as there may be take half of this, and its YAML most of a second. */
export const profilesFileBytesMax = 256 * 1024;
/** Tokens are a few kB; a bundle of all public certificate authorities is 220 kB. */
export const credentialFileBytesMax = 1024 * 1024;
/** A file of hundreds of clusters with their certificates. */
export const kubeconfigBytesMax = 4 * 1024 * 1024;
/** A namespace has 63 characters. */
export const namespaceFileBytesMax = 1024;

/** Room beyond a file's size at first: it may grow, and files of `/proc` tell no size. */
export const fileGrowthBytes = 4_096;
/** Time a reading may be absent before its device stops counting: see `answer`. */
export const missingGraceMs = 300_000;
/** Replicas remembered as missing, some 150 bytes each: more pods than a cluster can have. */
export const missingTrackedMax = 200_000;
/** The kubelet is asked every few seconds; after this a device may be another pod's by now. */
export const holdersStaleMs = 60_000;

/** A page of 60 histograms for 8 engines is 1 MB; the limit holds after decompression too. */
export const engineBodyBytesMax = 8 * 1024 * 1024;
/** An engine that takes longer to print its metrics is not helped by being asked again. */
export const engineScrapeMs = 2_000;
/** Engines suffer from frequent scrapes: several stall their requests while they print. */
export const engineIntervalMs = 5_000;
/** A gateway behind an open push stream wakes a workload from zero, where seconds count. */
export const gatewayIntervalMs = 1_000;
export const engineScrapesMax = 64;
/** Of these, a namespace's at once: silent pods hold a slot for `engineScrapeMs`, and only their own. */
export const engineScrapesShare = 32;
/** One a pod with an engine; the same number as agents. */
export const engineTargetsMax = 5_000;
/** Of these, a namespace's: no single one can shut out all others. */
export const engineTargetsShare = 2_500;
/** KEDA asks at least every few minutes for what it scales on. */
export const engineForgetMs = 600_000;
/**
 * A target that nobody reads for this long is let go. Short, because a pod's address is soon another
 * tenant's; every trigger that somebody may ask for is read again at each interval.
 */
export const engineHoldMs = 20_000;
/** After its start a scaler waits this long for engines before it says that it is ready. */
export const enginesFirstMs = 10_000;
/** Triggers remembered because they were asked for; those that name this service are no part of it. */
export const engineTriggersMax = 2_000;
/** Of their metadata, all together: a trigger has some hundred bytes, and a call may send 256 KiB. */
export const engineTriggersBytesMax = 8 * 1024 * 1024;
/** A missed scrape or two is not an outage. */
export const engineStaleIntervals = 3;
export const engineStaleLeastMs = 30_000;
/** No engine prints a line near this; a page without newlines must not be gathered whole. */
export const pageLineBytesMax = 64 * 1024;
/** Series of the wanted names on one target: eight engines with all their buckets are about 4,000. */
export const pageSeriesMax = 20_000;

// ---- observe

/** A status page shows what is new this often: faster than that people do not read. */
export const statusIntervalMs = 1_000;
/** Pages and terminals that watch at once: each costs up to 500 KB/s with 1,000 devices. */
export const statusWatchersMax = 16;
/** One that does not read is sent nothing more, until it has read; a large fleet is one row of 500 KB. */
export const statusUnreadBytesMax = 1024 * 1024;

/** Objects of which is remembered how they were used: as many as are expected to be scaled. */
export const usageObjectsMax = 2_000;
/** Of these, a namespace's: no single one can shut out all others. */
export const usageObjectsShare = 1_000;
/** Of what is remembered of all objects: 2,000 of 13 KiB each, and some room. */
export const usageBytesMax = 32 * 1024 * 1024;
/** One look in this time: what lasts for less changes no advice. */
export const usageSampleMs = 60_000;
/** The largest number of half precision: a longer queue is remembered as one of this length. */
export const usageValueMost = 65_504;
/** Six hours show a morning's rise, and are few enough to be kept in memory alone. */
export const usageMinutesMax = 360;
/** A workload of which nothing came for so long makes room for another. */
export const usageIdleMinutesMax = 15;
/** Pods of one workload of which it is remembered that they are starting. */
export const startingPodsMax = 100;
/** Starts of pods that are remembered: loading a model takes about as long each time. */
export const startsMax = 20;
/** Fewer busy minutes say too little of a workload. */
export const adviceBusyMinutesLeast = 30;
/** In fewer minutes nothing can be said of hours. */
export const adviceMinutesLeast = 60;
/** Requests waited in so many minutes, or else it was an accident. */
export const waitingMinutesLeast = 3;
/** Percent: above it a device works, whatever its driver calls idle. */
export const busyUtilizationLeast = 5;
/** Percent: a device that is never without a kernel shows no more load than this. */
export const saturatedUtilizationLeast = 90;
/** Percent of a key-value cache: engines begin to put requests off, or to preempt them, about here. */
export const fullCacheLeast = 90;
/** Percent: with so much room left it is not the cache that requests wait for. */
export const roomyCacheMost = 60;
/** Percent: what an engine takes at its start is most of the device. */
export const constantMemoryLeast = 60;
/** Points of a percentage that are no change of memory. */
export const constantMemoryPointsMost = 5;
/** Points of a percentage that are a change of load. */
export const variedUtilizationPointsLeast = 20;
/** How many times as many watts are a change of load. */
export const variedPowerRatioLeast = 1.3;
/** Of the most that a replica ran without a queue: room for what comes while the next one loads. */
export const requestTargetShare = 0.7;
/** Of the same: a target above it is reached too late. */
export const lateTargetShare = 0.8;
/** By how much a target is raised at once: how much a replica can do was not observed. */
export const raisedTargetRatio = 1.5;
/** Changes of direction in an hour, of what is asked for and of what comes of it, that are restless. */
export const desiredTurnsLeast = 4;
export const replicaTurnsLeast = 2;
/** Seconds of a stabilization window: twice the HPA's default, and the HPA's most. */
export const calmWindowLeast = 600;
export const calmWindowMost = 3_600;
/** Of all minutes, and minutes: so long above the maximum is no peak that it is there for. */
export const aboveMaximumShare = 0.2;
export const aboveMaximumMinutesLeast = 15;
/** Of the minutes in which replicas were there: so idle, it is worth a front end. */
export const idleShare = 0.25;
/** Seconds, KEDA's default. */
export const cooldownSecondsLeast = 300;
/** Starting takes so long that it has to be planned for. */
export const slowStartLeastMs = 60_000;
/** What passes by itself, as a roll-out or an agent that restarts, is over by then. */
export const eventAfterMs = 30_000;
/** Two rounds through every trigger: what is gone for so long is no gap in something that goes on. */
export const eventOverMs = 10_000;
/** An API server forgets events after an hour; what lasts is said again before that. */
export const eventRepeatMs = 1_800_000;
/** An event that could not be written is tried again after this, so that others get their turn. */
export const eventRetryMs = 300_000;
/** Events of one object: all that can be wrong with it at once, and then one a minute. */
export const eventsPerObject = { most: 10, perSecond: 1 / 60 } as const;
/** Of all objects in one round of 5 s: an outage of the fleet tells 4,000 triggers within 17 minutes. */
export const eventsPerRound = 20;
/** Objects with something wrong that is remembered, a few for each of 2,000, some 500 bytes each. */
export const eventProblemsMax = 10_000;
/** What is over, but of an object that was not answered since, is forgotten after this. */
export const eventKeptMs = 900_000;

// ---- page

/** An open explanation is asked for this often; it is made anew each time. */
export const explanationRefreshMs = 5_000;
/** A node that has not been heard for this many of its intervals is shown as late. */
export const pageLateIntervals = 5;
/** Pixels, of the plot in a card and of those in an explanation. */
export const cardPlotPixels = 110;
export const explanationPlotPixels = 160;
/** What the server remembers. */
export const plotWindowSeconds = 900;

// ---- app and cli

/** A status of 5,000 nodes takes a second to make; a person does not wait longer than this. */
export const statusAnswerMs = 10_000;

/** Triggers of which is remembered what was decided: two for each of 2,000 objects. */
export const decidedTriggersMax = 4_000;
/** Of their metadata and what is remembered: some 8 KiB a trigger, and a call may send 256 KiB. */
export const decidedTriggersBytesMax = 48 * 1024 * 1024;
/** What was decided and said of one trigger, about. */
export const decidedTriggerBytes = 8 * 1024;
/** KEDA asks every 15 to 30 s: a point a trigger in this time shows each of its answers. */
export const decisionPointMs = 10_000;
/** With one each ten seconds, a quarter of an hour. */
export const decisionPointsMax = 90;
/** Of a trigger, to be read by people: a day of a calm workload, minutes of a restless one. */
export const decisionChangesMax = 20;
/** Of one sentence that is remembered: a fault may list ten pods. */
export const decisionTextCharsMax = 400;
/** A round through every trigger is cut into this many parts, so that none keeps calls waiting. */
export const roundPartsMax = 20;
/** What was decided for a trigger that nobody asks and no object has any more is kept for this long. */
export const decisionKeptMs = 900_000;
/** Refused callers that are remembered, so that each is logged once, some 100 bytes each. */
export const strangersMax = 2_000;

/** A Secret holds no more. */
export const tlsFileBytesMax = 1024 * 1024;
/** As for profiles; certificates are renewed days before they end. */
export const tlsReadEveryMs = 5_000;

/** The kubelet takes about a minute to bring a changed ConfigMap to its pods; this adds little. */
export const profilesReadEveryMs = 5_000;
/** A pod or trigger that came or went has its engines read, or let go, this soon. */
export const prefetchCheckMs = 1_000;
/** A trigger that came or went begins or ends its windows and demands this soon. */
export const triggerRoundMs = 5_000;
/** Late timers show up within half a second, at the cost of two wake-ups a second. */
export const eventLoopCheckMs = 500;
/** Rates and performance counters are differences, so only the second of two passes has them all. */
export const snapshotSettleMs = 250;
/** A driver call lasts up to 45 s; a snapshot gives up when no pass has ended after this. */
export const snapshotWatchdogMs = 60_000;

/** The rendered charts of a whole cluster have a few megabytes. */
export const validateFileBytesMax = 8 * 1024 * 1024;
/** More files than a repository has, and fewer than a mistaken pattern can name. */
export const validateFilesMax = 10_000;
/** Of a generated ScaledObject that does not say it: a few GPU nodes' worth. */
export const generatedReplicasMax = 10;
/** More than one HPA is known to scale to. */
export const generatedReplicasMost = 100_000;
/** Prose of commands is wrapped at this: a terminal has 80 columns or more, and people read so far. */
export const terminalColumns = 96;

// ---- device

/** Below three intervals one slow driver call would already be an outage. */
const staleIntervals = 3;
export const staleLeastMs = 5_000;

/**
 * Age from which a reading is not served any more.
 *
 * @param sampleIntervalMs Time between two samples.
 * @returns Milliseconds.
 */
export function staleAfterMs(sampleIntervalMs: number): number {
  return Math.max(staleIntervals * sampleIntervalMs, staleLeastMs);
}

/** A reading that costs is taken this long after an answer last needed it: KEDA asks more often. */
export const demandHoldMs = 600_000;
/** How long a stop waits for the sampling thread, which may be inside a driver call of 45 s. */
export const samplerStopMs = 1_000;
/** A mock file is written by hand; one that is larger is not a mock file. */
export const mockFileBytesMax = 256 * 1024;
/** No node has more; it bounds what a typing error in `count` can cost. */
export const mockDevicesMax = 256;
/** Thirty years: longer times lose their seconds in sums, and at last the sum is no number. */
export const mockSecondsMax = 1_000_000_000;

/** A file of sysfs is at most a page, and pages have 64 KiB on some arm64 kernels. */
export const sysfsFileBytesMax = 64 * 1024;

/** How long the energy of a pod is shown after it held a device, so that its last joules are scraped. */
export const podEnergyKeptMs = 5 * 60_000;

/** Span of the mean power by a device's energy counter, which drivers count up every 20 to 100 ms. */
export const energyPowerMs = 5_000;

/** Over which time processes are told apart: the driver looks at one of them some times a second. */
export const processWindowMs = 5_000;
/** Processes of one GPU: each holds some of its memory, so that a larger count is none. */
export const processesMax = 4_096;
/** Room in a list of processes for those that start between two calls. */
export const processRoomToSpare = 32;
/** A node's processes whose pods are remembered: those of all its shared devices. */
export const processOwnersMax = 16_384;
/** `/proc/<pid>/cgroup` has a line for each hierarchy, of which cgroup v1 has a dozen. */
export const procFileBytesMax = 64 * 1024;

/** Time between two searches for accelerators of vendors that were not found before, beside one that was. */
export const vendorSearchMs = 10_000;

/** Time between readings that change seldom, and between two reads of the list of devices. */
export const slowReadingsMs = 10_000;
/** The driver refreshes its own GPM sample every 100 ms; closer ones give nothing or nonsense. */
export const gpmSpacingLeastMs = 100;
/** NVIDIA cuts a GPU into seven at the most; a driver that says more has not said anything. */
export const migPlacesMax = 64;
/** Events of the driver taken in one pass; a GPU in trouble makes a burst, and the rest comes next. */
export const nvmlEventsPerPassMax = 64;
/** Different XIDs remembered of a GPU: NVIDIA's list has some 170 numbers, and a GPU meets a few. */
export const xidsTrackedMax = 64;
/** GPUs whose XIDs are remembered after their driver session; as many as a report may have. */
export const xidDevicesMax = 512;
/** A GPU whose hardware failed is not believed for so long after it last did: it mostly does it again. */
export const xidHardwareMs = 300_000;
/** An application's fault is told for so long: its pod has begun again by then. */
export const xidApplicationMs = 300_000;
/** New memory errors are told for so long: several scrapes see them. */
export const eccGrowthMs = 300_000;
/** Slowdowns come and go within a second; told for so long, they do not flicker. */
export const slowdownHeldMs = 30_000;
/** Pauses between two attempts to open a driver session double from the least to the most. */
export const nvmlPauseLeastMs = 1_000;
export const nvmlPauseMostMs = 30_000;
/** So many in a row are no accident: a container that lost its device nodes never gets them back. */
export const unknownReturnsMax = 5;

// ---- node and telemetry

/** Every scaler replica watches every agent; this many replicas nobody runs. */
export const telemetryWatchersMax = 64;
/** A scaler watches once, and twice while it connects again; pods of one host may share an address. */
export const telemetryWatchersPerPeerMax = 4;

/** The kubelet serves 100 calls a second; a pod takes longer than this to load a model. */
export const podResourcesPollMs = 10_000;
/** The kubelet answers from memory in milliseconds, or is in trouble. */
export const podResourcesCallMs = 5_000;
/** The kubelet's own limit for this answer. */
export const podResourcesBytesMax = 16 * 1024 * 1024;
/** A whole snapshot in this time mends whatever a defect in the changes could have broken. */
export const telemetryWholeMs = 30_000;
/** Eight GPUs of seven slices each are 56 devices, and no machine has 64 GPUs. */
export const reportDevicesMax = 512;
/** Time-slicing and MPS share a device among some ten pods; the driver serves 48 with MPS. */
export const reportHoldersOfDeviceMax = 256;
/** A node runs some hundred pods, and a pod that holds all its devices holds them alone. */
export const reportHoldersMax = 4_096;
/** Each device has five uses that are told apart. */
export const reportDeviceUsesMax = 5 * reportDevicesMax;
/** Longest uuid, name or version that a driver gives: NVML's own buffers have 96. */
export const deviceTextCharsMax = 256;
/** Kinds of conditions are some ten, and a device has one of each at the most. */
export const reportConditionsOfDeviceMax = 32;
/** A sentence or two about a device that is not well, or about one of its conditions. */
export const healthReasonCharsMax = 1_024;
/** The slowest sampling that may be set: readings of a slower agent would serve for too long. */
export const sampleIntervalMostMs = 60_000;
/** An exporter prints what it keeps in memory; one that takes longer holds up the next sample. */
export const exporterReadMs = 2_000;
/** A table of an exporter is written by hand: the longest that is built in has 5 kB. */
export const exporterTableBytesMax = 64 * 1024;
/** Times between two collections of an exporter, in seconds: older numbers scale nothing. */
export const exporterCollectionSecondsMax = 300;
/** Kubernetes' own limits: of namespaces and containers, and of pods and nodes. */
export const labelCharsMax = 63;
export const objectNameCharsMax = 253;
/** Repeated although nothing new was read, so that a stuck driver is told from a dead agent. */
export const telemetryRepeatMs = 5_000;

// ---- fleet

/** Agents that one process follows: one stream each, the same count as streams it may serve. */
export const agentsMax = 5_000;

/** An agent repeats itself every 5 s at least, so by then it has missed two of its messages. */
export const agentSilentMs = 10_000;
/** The fastest agent samples ten times a second; a message between samples is rare. */
export const agentMessageMs = 50;
/** The largest node's readings, ten times a second, are half of this. */
export const agentBytesPerSecond = 1024 * 1024;
/** What an agent did not send in this time it may send at once: pods come and go in bursts. */
export const agentBurstMs = 2_000;
/** Pauses between attempts at an agent double from the least to the most, with jitter. */
export const agentPauseLeastMs = 500;
export const agentPauseMostMs = 30_000;
/** How often agents are checked for silence. */
export const agentCheckMs = 500;
/** First attempts are spread over this for each agent, and over the most altogether. */
export const agentSpreadMs = 1;
export const agentSpreadMostMs = 2_000;
/** Triggers come in groups: what they demand goes to the agents as one change. */
export const demandSettleMs = 1_000;
/** How exact the end of a demand is. */
export const demandCheckMs = 10_000;
/** A healthy agent reports in milliseconds; a replica must not wait for a dead node for ever. */
export const syncPatienceMs = 10_000;
/** How long a new node may go unnoticed; cluster DNS itself keeps answers for 5 to 30 s. */
export const agentsResolveMs = 5_000;

// ---- kubernetes and workload

/** Kubernetes itself refuses objects above 1.5 MiB; a page of pods has a few of these. */
export const apiAnswerBytesMax = 32 * 1024 * 1024;
/** Pods of a page: some 3 MB of text, parsed in about 20 ms of the one thread that answers. */
export const apiPageItems = 250;
/** A page of a busy API server takes seconds. */
export const apiAnswerMs = 15_000;
/** The API server sends a bookmark each minute: after two and a half the connection is dead. */
export const apiSilentMs = 150_000;
/** As client-go: watches end after 5 to 10 minutes, so that load spreads over API servers. */
export const apiWatchMs = 300_000;
/** Waits between attempts at the API server double from the least to the most, with jitter. */
export const apiRetryLeastMs = 1_000;
export const apiRetryMostMs = 30_000;

/** Pods last seen longer ago than this say nothing any more: the HPA then keeps what it has. */
export const workloadStaleMs = 600_000;
/** A ScaledObject that was asked for is kept ready to be looked up for this long. */
export const askedForMs = 600_000;
/** ScaledObjects remembered because they were asked for; calls made by hand are few. */
export const askedForMax = 2_000;
/** Namespaces watched at once, one connection each. */
export const namespacesMax = 500;
/** A selector hardly ever changes; its pods, which are watched, say when replicas changed. */
export const scaleEveryMs = 300_000;
/** Three reads missed: what failed for so long fails until a person sees it. */
export const scaleStaleMs = 900_000;
/** An API server that is back is heard within a minute: what is too old by then is not answered. */
export const scaleRetryMostMs = 60_000;
/** Wait after pods came or went, so that a roll-out costs one read and not one a pod. */
export const scaleSettleMs = 10_000;
/** Reads of `/scale` at once: the first ones of 500 workloads must not come as one burst. */
export const scaleReadsAtOnce = 4;
/** Writes of one kind at once: deletion costs, or events. */
export const apiWritesAtOnce = 4;
/** Pauses of these writes after the API server refused one; a missing right takes a person to grant. */
export const apiWritePauseLeastMs = 10_000;
export const apiWritePauseMostMs = 300_000;
/** Kubernetes refuses an event with a longer message. */
export const eventMessageBytesMax = 1_024;
/** Services that endpoints name, one watch each. */
export const servicesMax = 500;
/** Of these, a namespace's: a tenant with many triggers leaves others their own. */
export const servicesShare = 250;

/** Time between two checks for what nobody needs any more; its watches stay open meanwhile. */
export const resyncMs = 60_000;
/** Time between two passes over the reads of `/scale` that are due. */
export const scaleQueueMs = 1_000;

// ---- trigger and metric

/** A ScaledObject's trigger has a dozen keys, and a value is a name, a number or a URL. */
export const metadataKeysMax = 64;
export const metadataValueBytesMax = 4 * 1024;
/** The refusal of a misspelt profile lists them all. */
export const profilesMax = 200;

/** The longest `windowSeconds` a trigger may ask for. */
export const windowSecondsMax = 600;

/** Of a window: one a sample for some ten seconds, then ever wider; 8,000 devices fit in 20 MB. */
export const windowSlicesMax = 61;
/** KEDA counts in thousandths and writes "%.3f": a smaller target would become 0. */
export const targetLeast = 0.001;
/** The thousandfold of a trigger's number still fits KEDA's int64, and it is exact as a double. */
export const triggerNumberMax = 1_000_000_000_000;
/** Comments of generated YAML: a width that reviews show whole. */
export const commentColumns = 100;
/** KEDA's own `pollingInterval`. */
export const pollingSecondsDefault = 30;
/** People wait a minute for a cold start, which this is only a part of. */
export const slowPollSeconds = 60;
/** Words that a refusal suggests: more of them is no answer to what was meant. */
export const suggestionsMax = 4;
/** Longer text is cut in a problem's message, which travels in a header. */
export const quotedCharsMax = 60;
/** Of what the YAML library says is wrong with a text: its own sentences are shorter. */
export const yamlReasonCharsMax = 200;
/** Of all patterns of one `engineLabels`: the slowest of that length takes 15 ms to prepare. */
export const labelPatternCharsMax = 256;
/** A character takes at most some 20 ns a step; a pattern that is written out in full has one a letter. */
export const labelPatternStepsMax = 500;
/** What a pattern may learn of values: more is learned more slowly than the steps are taken anew. */
export const labelPatternBytesMax = 16 * 1024;
/** Patterns that are kept ready: together 4 MB where each learns all that it may. */
export const labelPatternsMax = 256;

// ---- engine

/** What one more series takes beside the characters of its text, as measured with 20,000 of them. */
export const seriesBytes = 520;
/** The same of a set of labels that no other series has. */
export const labelGroupBytes = 250;
/** The same of each label in it. */
export const labelBytes = 60;
/** What one scrape takes beside its values. */
export const scrapeBytes = 300;
/** An entry of a map from a number to a number. */
export const notFiniteBytes = 50;
/** A bucket that a latency was made of, with its bound and its count. */
export const bucketBytes = 60;
/**
 * What the series of all engines may take, by these estimates. An engine of vLLM takes 13 kB for a queue
 * and 40 to 55 kB for a latency, of which five minutes are kept, so 5,000 engines fit with the one and
 * some 2,000 with the other. Resident memory is two to four times that, see `bench/README.md`.
 */
export const engineMemoryBytesMax = 96 * 1024 * 1024;
/** Of these, a namespace's: two with too much leave none of the others short, see `memoryBudget`. */
export const engineMemoryBytesShare = 48 * 1024 * 1024;
/** A page that did not fit costs its parsing at each try, so it is tried again this seldom. */
export const engineRoomMs = 60_000;
/** TensorRT-LLM prints up to 1,000 iterations of some 1.5 kB; a page in JSON is read whole. */
export const engineJsonBytesMax = 2 * 1024 * 1024;
/** A path of ten names is a third of this. */
export const jsonPathCharsMax = 512;
/** Names, indices and comparisons of one path: each costs up to 1 µs for each value it goes through. */
export const jsonPathTermsMax = 16;
/** Lists of slots, models or jobs have tens of entries; these take some 20 ms of the thread that answers. */
export const jsonPathVisitsMax = 4_000;
/** No engine has a name near this: of a page's names 5,000 are gathered, of 64 pages at once. */
export const pageNameBytesMax = 128;
/** Enough to know an engine by; a page of random names must not fill the memory. */
export const pageNamesMax = 5_000;
/** What an error quotes of a body that is no metrics page: enough to know a login page by. */
export const pageHeadChars = 160;
/** There are some twenty engines, and a dozen sets of signals that triggers query. */
export const nameFiltersMax = 256;
/** Below this many series nothing is gained by dropping those that are gone. */
export const compactSeriesLeast = 256;
/** Different queries of one target; triggers have one or two each. */
export const targetQueriesMax = 64;
/** Of their texts, together: one has some hundred characters, and the longest labels make 27,000. */
export const targetQueryCharsMax = 64 * 1024;
/** Versions of an engine differ in bounds; a page with thousands of sets would take seconds to add up. */
export const bucketLayoutsMax = 64;
/** Characters times steps that one query compares with patterns on a page: at worst some 20 ms. */
export const labelPatternWorkMax = 1_000_000;
/** Scrapes between two checks whose page it is: what is behind a Service may change. */
export const identifyScrapes = 12;
/** Ports that a target's text lists; of an engine that nobody named there are a dozen. */
export const targetTextPortsMax = 4;
/** The window of counters where a query has none. */
export const counterWindowMs = 60_000;
/** A window with too few observations is widened up to this. */
export const widestWindowMs = 300_000;
/** Fewer observations than these make a quantile that is one request's luck. */
export const quantileSamplesLeast = [
  { q: 0.99, samples: 100 },
  { q: 0.95, samples: 20 },
  { q: 0, samples: 5 },
] as const;

// ---- answer

/** A demand reaches every agent in some seconds, and what it asks for comes with the second sample. */
export const pendingMostMs = 30_000;
/** How often costs of deletion are looked at: the HPA decides every 15 s. */
export const deletionCostCheckMs = 10_000;
/** Least time between two changes of a workload's costs, whoever made them: each updates pods. */
export const deletionCostSpacingMs = 60_000;
/** Pods of one workload that get another cost in one check; the others follow in the next ones. */
export const deletionCostsPerWorkload = 20;
/** Of all workloads in this time: four updates a second, where an API server serves hundreds. */
export const deletionCostsPerCheck = 40;
/** Parts of a check, so that thousands of workloads do not keep calls waiting. */
export const deletionCostParts = 10;
/** A device is busy one second and idle the next: what a pod has to do shows over some time. */
export const deletionCostWindowSeconds = 60;
/** A scale-in is near when a value that is so much of the present one would bring it. */
export const scaleInNearShare = 0.95;
/** More names than this make a message that nobody reads; the fault's facts carry all. */
export const listedNamesMax = 8;

// ---- rpc and keda

/** What a client sends: 64 keys of metadata with 4 KiB each, and names. KEDA's are a few hundred. */
export const requestMessageBytesMax = 320 * 1024;
/** A snapshot of 512 devices with their holders is about a quarter of this. */
export const messageBytesMax = 1024 * 1024;
/** Chunks of one message until they are joined: one of a byte takes some hundred bytes. */
export const messageChunksMax = 1_000;
/** KEDA holds one push stream a trigger; one costs 57 kB here, so that these are 140 MB. */
export const streamsMax = 2_500;
/** Share of them that one peer may have: KEDA is one peer, and another must find room. */
export const streamsPerPeerMax = 0.8;
/** A client whose streams were ended because its connection is old opens them again by then. */
export const streamsReservedMs = 30_000;
/** Calls begun before other clients are heard again: each takes a fraction of a millisecond. */
export const callsMax = 32;
/** Open unary calls: more than one connection may have, for KEDA may ask every value in one moment. */
export const callsOpenMax = 2_600;
/** Requests above 32 KiB read at once, of up to 1 MiB each; KEDA's are a few hundred bytes. */
export const longCallsMax = 8;
/** Requests that have come in part: KEDA sends each in one piece. */
export const requestBytesMax = 16 * 1024 * 1024;
/** Time for a client to take what it was sent: KEDA takes milliseconds. */
export const takeMs = 5_000;
/** The same on a connection that has never taken anything: who begins like that goes on like that. */
export const firstTakeMs = 1_000;
/** Time between two looks at what clients have not taken yet. */
export const unsentCheckMs = 250;
/** Calls ended in one such look: each costs a fraction of a millisecond, and its connection too. */
export const unsentEndsMax = 25;
/** Answers of one connection that are not read: a client that works reads each within milliseconds. */
export const unreadAnswersMax = 16;
/** Streams that begin at once, each half a millisecond of work. */
export const newStreamsMax = 64;
/** So that 640 begin in a second, and KEDA's 1,000 within two. */
export const newStreamMs = 100;
/** grpcurl opens one; the answers are long. */
export const reflectionStreamsMax = 16;
/** A call that is cancelled so soon was not meant; KEDA cancels what takes seconds. */
export const quickCancelMs = 1_000;
/** Time between two looks at whether the process runs. */
export const stallCheckMs = 500;
/** Beyond any pause that clients can cause, which are barred for less. */
export const stallLeastMs = 2_000;
/** So long what clients do is not held against them after a pause: they had given up, and ask again. */
export const stallExcuseMs = 1_000;
/** Calls cancelled at once, connections too many, answers never read: a client that works has none. */
export const strikeAllowance = { most: 10, perSecond: 1 } as const;
/** A peer that does more is not let in for so long: gRPC's own back-off is as long. */
export const barMs = 10_000;
/** Answers of reflection to one peer: grpcurl takes a dozen to describe everything. */
export const reflectionAllowance = { most: 200, perSecond: 5 } as const;
/** Peers whose allowances are remembered, some 100 bytes each. */
export const peersMax = 10_000;
/** Least time between two updates of the push streams: a large fleet changes all the time. */
export const pushSpacingMs = 200;
/** The text of an error travels in a header, which clients limit to 8 KiB or more. */
export const faultMessageCharsMax = 2_048;
/** KEDA holds one connection a scaler address; the rest are probes and people. */
export const connectionsMax = 512;
/** Connections that begin at once: each may bring as many calls as it likes in its first moment. */
export const newConnectionsMax = 2;
/** So that 20 begin in a second; KEDA opens one in ten minutes. */
export const newConnectionMs = 100;
/** A client speaks as soon as it is connected. */
export const prefaceMs = 5_000;
/** KEDA asks every few seconds to minutes; a connection costs little, a forgotten one nothing. */
export const idleMs = 120_000;
/** Answers come from memory, so a request still incomplete is a client that stopped sending. */
export const handlerMs = 1_000;
/** After this a connection is asked to reconnect, so that KEDA spreads over new replicas. */
export const connectionAgeMs = 600_000;
/** Spread of that age, so that connections opened together do not return together. */
export const connectionAgeJitter = 0.2;
/** KEDA's default termination grace is 30 s; a stop that takes 5 s leaves room for the kubelet. */
export const shutdownMs = 5_000;
/** A pod is told to stop while nodes still send it connections: for a second or two, until each has heard. */
export const withdrawMs = 3_000;

// ---- simulate

/** What is finer than this, requests aside, changes no decision: KEDA and the HPA take many seconds. */
export const simulatedTickMs = 1_000;
/** The HPA and KEDA keep no common time, so they do not act at once. */
export const simulatedHpaPhaseMs = 7_000;
/** A controller that could not create a pod tries again. */
export const simulatedRetryMs = 5_000;
/** While replicas run, a push stream only repeats what polling says too. */
export const simulatedPushMs = 10_000;
/** A new process of the scaler hears every agent within a moment. */
export const scalerSyncMs = 2_000;
/** Replicas that are there from the start have been ready for longer than any window lasts. */
export const readyBeforeMs = 3_600_000;
/** A request that began anew this often starts counting again; it is long over by then. */
export const requestRestartsMax = 256;
/** Requests that there is room for at first; the room doubles. */
export const requestsFirst = 1024;
/** How soon a rate of 0 is read again. */
export const loadIdleStepMs = 100;
/** A ScaledObject has a few kilobytes; the line of a YAML mistake is found by reading it again and again. */
export const simulateFileBytesMax = 128 * 1024;
/** A day of 30 requests a second has 120 MB; a larger trace is thinned before it is played. */
export const traceFileBytesMax = 128 * 1024 * 1024;
/** A file of another form has a mistake in each line; these show which form it is. */
export const inputProblemsMax = 10;
/** The table of the terminal has room for so many columns of 80 characters. */
export const comparisonsMax = 4;
/** What one front end can take, and a run can hold. */
export const loadPerSecondMax = 10_000;
/** A week shows every rhythm that a workload has. */
export const loadSecondsMax = 7 * 24 * 3600;
/** Requests of one run; its columns have 60 bytes for each. */
export const simulatedRequestsMax = 5_000_000;
/** A plot of more points than a wide screen has pixels shows no more. */
export const timelineRowsGoal = 480;
/** Counts of the Kubernetes API are 32 bits wide. */
export const int32Max = 2_147_483_647;
/** Ten times the longest context that a model has. */
export const requestTokensMax = 10_000_000;
/** A price beyond it has a typing error. */
export const gpuHourPriceMax = 1_000_000;
/** Longer than any wait that users accept. */
export const simulateWithinMsMax = 3_600_000;
/** Nine digits are passed on without a mistake. */
export const seedMax = 999_999_999;
