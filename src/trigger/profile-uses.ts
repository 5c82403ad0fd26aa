import type { ProfileName } from "./profiles.ts";

/** When a built-in profile is right, each a sentence or two. */
export interface ProfileUse {
  readonly when: string;
  readonly whenNot: string;
}

const preallocated =
  "The server takes its memory at start whatever its load: then every replica is above the target and the workload runs to maxReplicaCount.";

export const profileUses: Readonly<Record<ProfileName, ProfileUse>> = {
  "vllm-inference": {
    when: "vLLM with a small model and a lowered --gpu-memory-utilization, whose memory follows its load.",
    whenNot: `${preallocated} Take vllm-queue-depth or llm-concurrency.`,
  },
  "triton-inference": {
    when: "Triton with vision, speech or batch models, whose utilization follows the load.",
    whenNot:
      "Language models: utilization is the share of time in which any kernel ran, and is near 100 % at low load. Take triton-queue-wait.",
  },
  training: {
    when: "Elastic training that uses another worker while its GPUs are busy.",
    whenNot:
      "Training with a fixed number of workers, and anything that should go to zero: this profile is always active.",
  },
  batch: {
    when: "Workers that take jobs from a queue and fill a GPU's memory with each.",
    whenNot: `${preallocated} Scale on the length of the job queue alone.`,
  },
  "vllm-queue-depth": {
    when: "vLLM, as a first choice: requests that wait for a place in the batch know no ceiling.",
    whenNot:
      "As the only trigger: an empty queue does not say that a replica can be spared. Put llm-concurrency beside it, with half of the batch as target. Replicas that should be there before a queue forms: take llm-concurrency.",
  },
  "triton-queue-wait": {
    when: "Triton with a limit on the time that a request may wait.",
    whenNot:
      "As the only trigger: a wait is known when it is over, so a queue that stands still is not seen. Put queue_depth beside it.",
  },
  "triton-request-rate": {
    when: "Triton with requests that cost about the same, after one replica has been measured.",
    whenNot:
      "Requests of very different cost, such as prompts of any length: their number says little.",
  },
  ollama: {
    when: "Ollama, which loads a model on demand and drops it after some idle minutes.",
    whenNot: "OLLAMA_KEEP_ALIVE of -1 or of hours: the memory then stays in use without load.",
  },
  "tgi-inference": {
    when: "TGI with a lowered --cuda-memory-fraction, whose memory follows its load.",
    whenNot: `${preallocated} Take tgi-queue-depth.`,
  },
  "distributed-training": {
    when: "Training over several GPUs a worker with NVLink between them.",
    whenNot: "GPUs without NVLink: the answer is an error. Take training.",
  },
  "vllm-kv-cache": {
    when: "vLLM with long contexts, which run out of key-value cache first.",
    whenNot:
      "As the only trigger: a batch of short requests is full before the cache is, which then never shows how many replicas are missing. Put llm-concurrency beside it.",
  },
  "llm-concurrency": {
    when: "Any language-model server, once it is measured how many requests one replica serves well: it rises before a queue forms and tells when to go back.",
    whenNot:
      "Before that is measured: 16 a replica is a guess for your model. Begin with a queue depth.",
  },
  "llm-ttft-p95": {
    when: "Any language-model server with a goal for the time to the first token.",
    whenNot:
      "As the only trigger: it is known only of requests that got through. Put queue_depth beside it. Nothing goes to zero with it: this profile is always active.",
  },
  "tgi-queue-depth": {
    when: "TGI, as a first choice: its memory says nothing, and its queue knows no ceiling.",
    whenNot: "Replicas that should be there before a queue forms: take llm-concurrency.",
  },
  "sglang-queue-depth": {
    when: "SGLang with --enable-metrics, as a first choice.",
    whenNot:
      "Long contexts that run out of cache before requests wait: put kv_cache_usage beside it.",
  },
  "gateway-flow-control": {
    when: "A workload behind the endpoint picker of the Gateway API with flow control, which holds requests back and is there at zero replicas.",
    whenNot:
      "As the only trigger of a workload that runs: its queue is empty while replicas keep up. Put llm-concurrency beside it, which says when to go back.",
  },
};
