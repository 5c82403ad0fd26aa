/*
 * A stand-in for libnvidia-ml.so.1: NVML's functions, layouts and return codes, without a GPU.
 *
 * Built with -DBRANCH=570 (default), 580, 550, 535, 525, 470 or 418: what a driver branch lacks is not exported, and
 * fields it does not know are refused with 2.
 *
 * It plays the file that the environment variable NVML_STANDIN_CONTROL names, or that
 * nvmlStandinControl(path) was given, and reads it again before a call when it has changed. Replace
 * it by renaming another one over it. Without a file everything has its default.
 *
 * The file has one setting a line; a line that starts with # is a comment. A file starts from the
 * defaults: what it does not name is not kept from the file before it. A wrong line aborts.
 *
 *   gpus N                   N GPUs (8)
 *   order forward|reverse    the order of the driver's list (forward)
 *   driver loaded|unloaded|upgraded
 *                            unloaded: every call answers 9, and 1 once it is loaded again, until
 *                            the next init; upgraded: every call answers 18
 *   init RC                  what nvmlInit* answer (0)
 *   all RC                   what every call but init and shutdown answers (0: its own answer)
 *   rc SYMBOL RC             what one function answers (0: its own answer)
 *   sleep SYMBOL MS          how long one function sleeps first
 *   hang SYMBOL              one function does not return while the file says so
 *   mute SYMBOL              one function answers 0 and writes nothing
 *   process-entry SYMBOL BYTES
 *                            how many bytes one list of processes writes for each (16 for a name
 *                            without a number, 24 for _v2 and _v3)
 *   handles N                another number voids the handles given out before (0)
 *   log PATH                 the symbol of every call is appended to PATH, one a line
 *   gpu N|* KEY VALUE        one GPU or all, N from 0 as built in, whatever the order; KEY is
 *     uuid, name, bus        text: GPU-0000000N-…, NVIDIA Stand-in, 00000000:NN:00.0 (N + 0x10)
 *     listed                 0 takes it off the list (1)
 *     state                  what every call on it answers (0: its own answer); 15 also refuses it
 *                            a handle
 *     rc:SYMBOL              what one function answers for it
 *     event:SERIAL           an event of it, given out once while it is registered for its type: TYPE
 *                            DATA GI, where GI is a GPU instance, or -1. Serials only rise; a set
 *                            skips those of before it was made
 *     event-types            the types that it supports (0x18f); register-rc what its registration
 *                            answers (0)
 *     field:ID, field-rc:ID  a field's value (a double; the type follows the field), its answer
 *     field-type:ID          the valueType it claims
 *     field-mute:ID          1: it answers 0 and its value is not written
 *     gpm:ID, gpm-rc:ID      a GPM metric's value ("nan" too), its answer
 *     gpm                    0: no GPM (1)
 *     mig-gpm:INDEX          an instance's own GPM metric: ID VALUE RC. Without it an instance has no
 *                            video engine (3), and of the other metrics its GPU's
 *     mig:INDEX              a MIG instance at an index of its GPU, which has mig 1; an index that is
 *                            not named is a hole: GI CI PROFILE START GI-SLICES CI-SLICES TOTAL-MIB
 *                            USED-MIB BUSY, where BUSY is its GPM metric 1 and half of it metric 2.
 *                            Its handle is the index's own, so another instance there has the same
 *     process:PID            a process: KIND MEMORY-BYTES SM MEMORY ENCODER DECODER TIME, where KIND is
 *                            Compute, MPSCompute or Graphics, the list that has it, or None. It is a
 *                            sample of that time, and several lines are several samples
 *     mig-info               what the driver answers who asks for an instance's profile (0)
 *     mig-memory             what it answers on a GPU with mig 1 who asks for its memory (0)
 *     minor (N), major-cc (9), minor-cc (0), util (10 + N), memory-util (5 + N),
 *     total (80 GiB), reserved (1 GiB), free (59 GiB), temperature (40 + N), power (300000 + N),
 *     limit (700000), sm-clock (1755), memory-clock (2619), encoder (3), decoder (4),
 *     reasons (4), pstate (0), ecc-mode (1), ecc-corrected (2), ecc-uncorrected (1), mig (0),
 *     pcie-tx (1000), pcie-rx (2000), jpeg (2), ofa (1)
 *                            whole numbers, in NVML's units
 *
 * Layouts and codes: nvml.h of CUDA 12.8.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef BRANCH
#define BRANCH 570
#endif
#define EXPORT __attribute__((visibility("default")))

typedef int nvmlReturn_t;
typedef struct nvmlDevice_st *nvmlDevice_t;
typedef struct nvmlGpmSample_st *nvmlGpmSample_t;
typedef struct { unsigned gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } nvmlMemory_v2_t;
typedef struct {
  char busIdLegacy[16];
  unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];
} nvmlPciInfo_t;
typedef union {
  double dVal; int siVal; unsigned uiVal; unsigned long ulVal; unsigned long long ullVal;
  signed long long sllVal; unsigned short usVal;
} nvmlValue_t;
typedef struct {
  unsigned fieldId, scopeId; long long timestamp, latencyUsec;
  int valueType; nvmlReturn_t nvmlReturn; nvmlValue_t value;
} nvmlFieldValue_t;
typedef struct { unsigned version; int sensorType, temperature; } nvmlTemperature_v1_t;
typedef struct {
  unsigned metricId; nvmlReturn_t nvmlReturn; double value;
  struct { char *shortName, *longName, *unit; } metricInfo;
} nvmlGpmMetric_t;
typedef struct {
  unsigned version, numMetrics; nvmlGpmSample_t sample1, sample2; nvmlGpmMetric_t metrics[];
} nvmlGpmMetricsGet_t;
typedef struct { unsigned version, isSupportedDevice; } nvmlGpmSupport_t;
typedef struct {
  unsigned multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount,
    sharedJpegCount, sharedOfaCount, gpuInstanceSliceCount, computeInstanceSliceCount;
  unsigned long long memorySizeMB;
} nvmlDeviceAttributes_t;
typedef struct {
  nvmlDevice_t device; unsigned long long eventType, eventData;
  unsigned gpuInstanceId, computeInstanceId;
} nvmlEventData_t;
typedef struct nvmlGpuInstance_st { int gpu; unsigned id; } *nvmlGpuInstance_t;
typedef struct {
  nvmlDevice_t device; unsigned id, profileId; struct { unsigned start, size; } placement;
} nvmlGpuInstanceInfo_t;
typedef struct {
  unsigned pid; unsigned long long timeStamp; unsigned smUtil, memUtil, encUtil, decUtil;
} nvmlProcessUtilizationSample_t;

#define AT(type, member, bytes) \
  _Static_assert(offsetof(type, member) == bytes, #type "." #member)
#define SIZE(type, bytes) _Static_assert(sizeof(type) == bytes, #type)
SIZE(nvmlUtilization_t, 8); AT(nvmlUtilization_t, gpu, 0); AT(nvmlUtilization_t, memory, 4);
SIZE(nvmlMemory_t, 24); AT(nvmlMemory_t, total, 0); AT(nvmlMemory_t, free, 8);
AT(nvmlMemory_t, used, 16);
SIZE(nvmlMemory_v2_t, 40); AT(nvmlMemory_v2_t, version, 0); AT(nvmlMemory_v2_t, total, 8);
AT(nvmlMemory_v2_t, reserved, 16); AT(nvmlMemory_v2_t, free, 24); AT(nvmlMemory_v2_t, used, 32);
SIZE(nvmlPciInfo_t, 68); AT(nvmlPciInfo_t, domain, 16); AT(nvmlPciInfo_t, bus, 20);
AT(nvmlPciInfo_t, device, 24); AT(nvmlPciInfo_t, pciDeviceId, 28);
AT(nvmlPciInfo_t, pciSubSystemId, 32); AT(nvmlPciInfo_t, busId, 36);
SIZE(nvmlFieldValue_t, 40); AT(nvmlFieldValue_t, fieldId, 0); AT(nvmlFieldValue_t, scopeId, 4);
AT(nvmlFieldValue_t, timestamp, 8); AT(nvmlFieldValue_t, latencyUsec, 16);
AT(nvmlFieldValue_t, valueType, 24); AT(nvmlFieldValue_t, nvmlReturn, 28);
AT(nvmlFieldValue_t, value, 32);
SIZE(nvmlTemperature_v1_t, 12); AT(nvmlTemperature_v1_t, sensorType, 4);
AT(nvmlTemperature_v1_t, temperature, 8);
SIZE(nvmlGpmMetric_t, 40); AT(nvmlGpmMetric_t, nvmlReturn, 4); AT(nvmlGpmMetric_t, value, 8);
AT(nvmlGpmMetric_t, metricInfo.shortName, 16); AT(nvmlGpmMetric_t, metricInfo.longName, 24);
AT(nvmlGpmMetric_t, metricInfo.unit, 32);
SIZE(nvmlGpmMetricsGet_t, 24); AT(nvmlGpmMetricsGet_t, numMetrics, 4);
AT(nvmlGpmMetricsGet_t, sample1, 8); AT(nvmlGpmMetricsGet_t, sample2, 16);
AT(nvmlGpmMetricsGet_t, metrics, 24);
SIZE(nvmlGpmSupport_t, 8); AT(nvmlGpmSupport_t, isSupportedDevice, 4);
SIZE(nvmlDeviceAttributes_t, 40); AT(nvmlDeviceAttributes_t, gpuInstanceSliceCount, 24);
AT(nvmlDeviceAttributes_t, computeInstanceSliceCount, 28);
AT(nvmlDeviceAttributes_t, memorySizeMB, 32);
SIZE(nvmlProcessUtilizationSample_t, 32); AT(nvmlProcessUtilizationSample_t, timeStamp, 8);
AT(nvmlProcessUtilizationSample_t, smUtil, 16); AT(nvmlProcessUtilizationSample_t, memUtil, 20);
AT(nvmlProcessUtilizationSample_t, encUtil, 24); AT(nvmlProcessUtilizationSample_t, decUtil, 28);
SIZE(nvmlGpuInstanceInfo_t, 24); AT(nvmlGpuInstanceInfo_t, id, 8);
AT(nvmlGpuInstanceInfo_t, profileId, 12); AT(nvmlGpuInstanceInfo_t, placement.start, 16);
AT(nvmlGpuInstanceInfo_t, placement.size, 20);

SIZE(nvmlEventData_t, 32); AT(nvmlEventData_t, eventType, 8); AT(nvmlEventData_t, eventData, 16);
AT(nvmlEventData_t, gpuInstanceId, 24); AT(nvmlEventData_t, computeInstanceId, 28);

#define GPUS_MAX 64
#define INSTANCES_MAX 7
#define ENGINES_MAX 24
#define EVENTS_MAX 512
#define RULES_MAX 1024
#define IDS_MAX 400

enum { OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, SHORT = 7,
       NOT_LOADED = 9, MISMATCH = 18, VERSION = 25,
       MUTE = -1 /* ours: TRY makes it OK */ };

enum { MINOR, MAJOR_CC, MINOR_CC, LISTED, STATE, UTIL, MEMORY_UTIL, TOTAL, RESERVED, FREE,
       TEMPERATURE, POWER, LIMIT, SM_CLOCK, MEMORY_CLOCK, ENCODER, DECODER, REASONS, PSTATE,
       ECC_MODE, ECC_CORRECTED, ECC_UNCORRECTED, MIG, GPM, PCIE_TX, PCIE_RX,
       MIG_INFO, MIG_MEMORY, JPEG, OFA, EVENT_TYPES, REGISTER_RC, NUMBERS };
static const char *const numberNames[NUMBERS] = {
  "minor", "major-cc", "minor-cc", "listed", "state", "util", "memory-util", "total", "reserved",
  "free", "temperature", "power", "limit", "sm-clock", "memory-clock", "encoder", "decoder",
  "reasons", "pstate", "ecc-mode", "ecc-corrected", "ecc-uncorrected", "mig", "gpm", "pcie-tx",
  "pcie-rx", "mig-info", "mig-memory", "jpeg", "ofa", "event-types", "register-rc" };

struct instance {
  int exists;
  unsigned gi, ci, profile, start, giSlices, ciSlices;
  unsigned long long totalMib, usedMib;
  double busy;
  int engines;
  struct { unsigned id; double value; int rc; } engine[ENGINES_MAX];
};
struct event { int gpu; unsigned serial, gi; unsigned long long type, data; };
struct gpu {
  char uuid[128], name[128], bus[128];
  unsigned long long number[NUMBERS];
  double field[IDS_MAX], gpm[IDS_MAX];
  int fieldRc[IDS_MAX], fieldType[IDS_MAX], fieldMute[IDS_MAX], gpmRc[IDS_MAX];
  struct instance instance[INSTANCES_MAX];
};
struct rule { char kind, symbol[64]; int gpu, value; };

static struct gpu gpus[GPUS_MAX];
static struct rule rules[RULES_MAX];
static struct event events[EVENTS_MAX];
static int eventCount, gpuCount, ruleCount, reversed, initRc, allRc, driver, handleEpoch;
static char logPath[4096], controlPath[4096];
static struct stat controlStat;
static int isRead, references, wasUnloaded;
static unsigned session;

/* A handle names its session and epoch, so that one kept too long is refused, as in the driver. */
struct nvmlDevice_st { int gpu, epoch; unsigned session; int place; /* of an instance, or -1 */ };
static struct nvmlDevice_st handles[16][16][GPUS_MAX];
#if BRANCH >= 450
static struct nvmlDevice_st instanceHandles[16][16][GPUS_MAX][INSTANCES_MAX];
#endif
struct nvmlGpmSample_st { unsigned long long taken; int gpu, gi; /* or -1 */ };

static void clearProcesses(void);
static void setProcess(int gpu, int pid, const char *value, const char *line);

static void defaults(void) {
  clearProcesses();
  gpuCount = 8; eventCount = ruleCount = reversed = initRc = allRc = driver = handleEpoch = 0; logPath[0] = 0;
  memset(gpus, 0, sizeof gpus);
  for (int n = 0; n < GPUS_MAX; n++) {
    struct gpu *gpu = &gpus[n];
    const unsigned long long gib = 1ull << 30;
    snprintf(gpu->uuid, sizeof gpu->uuid, "GPU-%08x-0000-4000-8000-000000000000", n);
    snprintf(gpu->name, sizeof gpu->name, "NVIDIA Stand-in");
    snprintf(gpu->bus, sizeof gpu->bus, "00000000:%02X:00.0", n + 0x10);
    const unsigned long long numbers[NUMBERS] = {
      n, 9, 0, 1, 0, 10 + n, 5 + n, 80 * gib, gib, 59 * gib, 40 + n, 300000 + n, 700000, 1755,
      2619, 3, 4, 4, 0, 1, 2, 1, 0, 1, 1000, 2000, 0, 0, 2, 1, 0x18f, 0 };
    memcpy(gpu->number, numbers, sizeof numbers);
    for (int id = 0; id < IDS_MAX; id++) gpu->fieldType[id] = -1;
    gpu->field[82] = 60 + n; gpu->field[83] = 5e6; gpu->field[185] = 310000 + n;
    gpu->field[186] = 320000 + n; gpu->field[138] = 1e6; gpu->field[139] = 2e6;
    gpu->gpm[2] = 50 + n; gpu->gpm[3] = 30; gpu->gpm[5] = 20; gpu->gpm[10] = 40;
    gpu->gpm[11] = 5; gpu->gpm[12] = 25; gpu->gpm[13] = 15;
    gpu->gpm[20] = 100; gpu->gpm[21] = 200; gpu->gpm[60] = 3000; gpu->gpm[61] = 4000;
  }
}

static void wrong(const char *line) {
  fprintf(stderr, "nvml stand-in: cannot use \"%s\" in %s\n", line, controlPath);
  abort();
}

static void rule(char kind, const char *symbol, int gpu, int value) {
  if (ruleCount == RULES_MAX) wrong(symbol);
  struct rule *made = &rules[ruleCount++];
  made->kind = kind; made->gpu = gpu; made->value = value;
  snprintf(made->symbol, sizeof made->symbol, "%s", symbol);
}

static int id(const char *text, const char *line) {
  int number = atoi(text);
  if (number < 0 || number >= IDS_MAX) wrong(line);
  return number;
}

static void setInstance(struct gpu *gpu, const char *place, const char *value, const char *line) {
  const int index = atoi(place);
  if (index < 0 || index >= INSTANCES_MAX) wrong(line);
  struct instance *made = &gpu->instance[index];
  made->exists = 1;
  if (sscanf(value, "%u %u %u %u %u %u %llu %llu %lf", &made->gi, &made->ci, &made->profile,
             &made->start, &made->giSlices, &made->ciSlices, &made->totalMib, &made->usedMib,
             &made->busy) != 9)
    wrong(line);
}

static void setEngine(struct gpu *gpu, const char *place, const char *value, const char *line) {
  const int index = atoi(place);
  if (index < 0 || index >= INSTANCES_MAX) wrong(line);
  struct instance *of = &gpu->instance[index];
  const int n = of->engines++;
  if (n == ENGINES_MAX || sscanf(value, "%u %lf %d", &of->engine[n].id, &of->engine[n].value,
                                 &of->engine[n].rc) != 3)
    wrong(line);
}

static void setEvent(int gpu, const char *serial, const char *value, const char *line) {
  struct event *made = &events[eventCount++];
  long long gi;
  made->gpu = gpu;
  made->serial = atoi(serial);
  if (eventCount == EVENTS_MAX ||
      sscanf(value, "%llu %llu %lld", &made->type, &made->data, &gi) != 3)
    wrong(line);
  made->gi = gi;
}

static void setGpu(int n, const char *key, const char *value, const char *line) {
  struct gpu *gpu = &gpus[n];
  const char *colon = strchr(key, ':');
  if (colon != NULL) {
    const char *rest = colon + 1;
    const size_t length = colon - key;
#define IS(name) (length == strlen(name) && strncmp(key, name, length) == 0)
    if (IS("rc")) rule('r', rest, n, atoi(value));
    else if (IS("field")) gpu->field[id(rest, line)] = strtod(value, NULL);
    else if (IS("field-rc")) gpu->fieldRc[id(rest, line)] = atoi(value);
    else if (IS("field-type")) gpu->fieldType[id(rest, line)] = atoi(value);
    else if (IS("field-mute")) gpu->fieldMute[id(rest, line)] = atoi(value);
    else if (IS("gpm")) gpu->gpm[id(rest, line)] = strtod(value, NULL);
    else if (IS("mig")) setInstance(gpu, rest, value, line);
    else if (IS("mig-gpm")) setEngine(gpu, rest, value, line);
    else if (IS("event")) setEvent(n, rest, value, line);
    else if (IS("process")) setProcess(n, atoi(rest), value, line);
    else if (IS("gpm-rc")) gpu->gpmRc[id(rest, line)] = atoi(value);
    else wrong(line);
    return;
  }
  if (strcmp(key, "uuid") == 0) { snprintf(gpu->uuid, sizeof gpu->uuid, "%s", value); return; }
  if (strcmp(key, "name") == 0) { snprintf(gpu->name, sizeof gpu->name, "%s", value); return; }
  if (strcmp(key, "bus") == 0) { snprintf(gpu->bus, sizeof gpu->bus, "%s", value); return; }
  for (int number = 0; number < NUMBERS; number++)
    if (strcmp(key, numberNames[number]) == 0) {
      gpu->number[number] = strtoull(value, NULL, 0);
      return;
    }
  wrong(line);
}

static void setting(char *line) {
  char word[64] = "", first[4096] = "", second[64] = "", value[128] = "";
  const int words = sscanf(line, "%63s %4095s %63s %127[^\n]", word, first, second, value);
  if (words < 1 || word[0] == '#') return;
  if (words < 2) wrong(line);
  if (strcmp(word, "gpus") == 0 && atoi(first) <= GPUS_MAX) gpuCount = atoi(first);
  else if (strcmp(word, "order") == 0) reversed = strcmp(first, "reverse") == 0;
  else if (strcmp(word, "driver") == 0)
    driver = strcmp(first, "unloaded") == 0 ? NOT_LOADED
             : strcmp(first, "upgraded") == 0 ? MISMATCH : OK;
  else if (strcmp(word, "init") == 0) initRc = atoi(first);
  else if (strcmp(word, "all") == 0) allRc = atoi(first);
  else if (strcmp(word, "rc") == 0 && words == 3) rule('r', first, -1, atoi(second));
  else if (strcmp(word, "sleep") == 0 && words == 3) rule('s', first, -1, atoi(second));
  else if (strcmp(word, "hang") == 0) rule('h', first, -1, 0);
  else if (strcmp(word, "mute") == 0) rule('m', first, -1, 0);
  else if (strcmp(word, "process-entry") == 0 && words == 3) rule('e', first, -1, atoi(second));
  else if (strcmp(word, "handles") == 0) handleEpoch = atoi(first);
  else if (strcmp(word, "log") == 0) snprintf(logPath, sizeof logPath, "%s", first);
  else if (strcmp(word, "gpu") == 0 && words == 4) {
    const int all = strcmp(first, "*") == 0, one = atoi(first);
    if (!all && (one < 0 || one >= GPUS_MAX)) wrong(line);
    for (int n = all ? 0 : one; n < (all ? GPUS_MAX : one + 1); n++)
      setGpu(n, second, value, line);
  } else wrong(line);
}

static void readControl(void) {
  if (controlPath[0] == 0) {
    const char *path = getenv("NVML_STANDIN_CONTROL");
    if (path != NULL) snprintf(controlPath, sizeof controlPath, "%s", path);
  }
  struct stat now;
  memset(&now, 0, sizeof now);
  if (controlPath[0] != 0 && stat(controlPath, &now) != 0) wrong("no such file");
  if (isRead && now.st_ino == controlStat.st_ino && now.st_size == controlStat.st_size &&
      now.st_mtim.tv_sec == controlStat.st_mtim.tv_sec &&
      now.st_mtim.tv_nsec == controlStat.st_mtim.tv_nsec)
    return;
  isRead = 1;
  controlStat = now;
  defaults();
  if (controlPath[0] == 0) return;
  FILE *file = fopen(controlPath, "r");
  if (file == NULL) wrong("cannot open");
  char line[4352];
  while (fgets(line, sizeof line, file) != NULL) setting(line);
  fclose(file);
}

static const struct rule *find(char kind, const char *symbol, int gpu) {
  for (int n = ruleCount - 1; n >= 0; n--)
    if (rules[n].kind == kind && (rules[n].gpu == -1 || rules[n].gpu == gpu) &&
        strcmp(rules[n].symbol, symbol) == 0)
      return &rules[n];
  return NULL;
}

static void sleepMs(int ms) {
  struct timespec time = { ms / 1000, ms % 1000 * 1000000L };
  nanosleep(&time, NULL);
}

static void record(const char *symbol) {
  if (logPath[0] == 0) return;
  char line[80];
  const int length = snprintf(line, sizeof line, "%s\n", symbol);
  const int file = open(logPath, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || write(file, line, length) != length) wrong("log");
  close(file);
}

/* What every function does first; OK when it may go on. */
static nvmlReturn_t begin(const char *symbol, int gpu, int isSessionCall) {
  readControl();
  record(symbol);
  const struct rule *known = find('s', symbol, gpu);
  if (known != NULL) sleepMs(known->value);
  while (find('h', symbol, gpu) != NULL) { sleepMs(5); readControl(); }
  if (driver == NOT_LOADED) wasUnloaded = 1;
  if (isSessionCall) return OK;
  if (driver != OK) return driver;
  if (references == 0 || wasUnloaded) return UNINITIALIZED;
  if (allRc != OK) return allRc;
  known = find('r', symbol, gpu);
  if (known != NULL && known->value != OK) return known->value;
  return find('m', symbol, gpu) != NULL ? MUTE : OK;
}

/* What the driver answers on the handle of a MIG instance. */
static int isForInstances(const char *symbol) {
  static const char *const symbols[] = {
    "nvmlDeviceGetUUID", "nvmlDeviceGetName", "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetMemoryInfo_v2", "nvmlDeviceGetGpuInstanceId",
    "nvmlDeviceGetComputeInstanceId", "nvmlDeviceGetAttributes_v2" };
  for (unsigned n = 0; n < sizeof symbols / sizeof *symbols; n++)
    if (strcmp(symbols[n], symbol) == 0) return 1;
  return 0;
}

static struct instance *instanceOf(nvmlDevice_t device) {
  return device->place < 0 ? NULL : &gpus[device->gpu].instance[device->place];
}

/* The same for a call on a device. */
static nvmlReturn_t beginDevice(const char *symbol, nvmlDevice_t device, struct gpu **gpu) {
  const nvmlReturn_t rc = begin(symbol, device == NULL ? -1 : device->gpu, 0);
  if (rc != OK) return rc;
  if (device == NULL || device->session != session || device->epoch != handleEpoch) return INVALID;
  *gpu = &gpus[device->gpu];
  const struct instance *instance = instanceOf(device);
  if (instance != NULL && (!instance->exists || !(*gpu)->number[MIG])) return INVALID;
  if (instance != NULL && !isForInstances(symbol)) return NOT_SUPPORTED;
  return (int)(*gpu)->number[STATE];
}

EXPORT void nvmlStandinControl(const char *path) {
  snprintf(controlPath, sizeof controlPath, "%s", path);
  isRead = 0;
}

static nvmlReturn_t init(const char *symbol) {
  const nvmlReturn_t rc = begin(symbol, -1, 1);
  if (rc != OK) return rc;
  if (driver != OK) return driver;
  if (initRc != OK) return initRc;
  wasUnloaded = 0;
  if (references++ == 0) session++;
  return OK;
}
EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
  return flags > 7 ? INVALID : init("nvmlInitWithFlags");
}
EXPORT nvmlReturn_t nvmlInit_v2(void) { return init("nvmlInit_v2"); }
EXPORT nvmlReturn_t nvmlShutdown(void) {
  begin("nvmlShutdown", -1, 1);
  if (references > 0) references--;
  return OK;
}

static nvmlReturn_t text(char *out, unsigned length, const char *value) {
  if (length <= strlen(value)) return SHORT;
  strcpy(out, value);
  return OK;
}
#if BRANCH >= 580
static const char driverVersion[] = "580.65.06", nvmlVersion[] = "13.580.65.06";
static const unsigned lastField = 273;
#elif BRANCH >= 570
static const char driverVersion[] = "570.133.20", nvmlVersion[] = "12.570.133.20";
static const unsigned lastField = 250;
#elif BRANCH >= 550
static const char driverVersion[] = "550.163.01", nvmlVersion[] = "12.550.163.01";
static const unsigned lastField = 196;
#elif BRANCH >= 535
static const char driverVersion[] = "535.274.02", nvmlVersion[] = "12.535.274.02";
static const unsigned lastField = 196;
#elif BRANCH >= 525
static const char driverVersion[] = "525.147.05", nvmlVersion[] = "12.525.147.05";
static const unsigned lastField = 184; /* 185 and what follows came with 535 */
#elif BRANCH >= 470
static const char driverVersion[] = "470.256.02", nvmlVersion[] = "11.470.256.02";
static const unsigned lastField = 164;
#else
static const char driverVersion[] = "418.226.00", nvmlVersion[] = "10.418.226.00";
static const unsigned lastField = 90;
#endif

#define TRY(rc) do { \
  const nvmlReturn_t tried = (rc); \
  if (tried != OK) return tried == MUTE ? OK : tried; \
} while (0)
#define ON_DEVICE struct gpu *gpu; TRY(beginDevice(__func__, device, &gpu))

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *out, unsigned length) {
  TRY(begin(__func__, -1, 0));
  return text(out, length, driverVersion);
}
EXPORT nvmlReturn_t nvmlSystemGetNVMLVersion(char *out, unsigned length) {
  begin(__func__, -1, 1);
  return text(out, length, nvmlVersion);
}

/* The GPU at a place of the list, or -1. */
static int listed(unsigned index) {
  unsigned place = 0;
  for (int n = 0; n < gpuCount; n++) {
    const int gpu = reversed ? gpuCount - 1 - n : n;
    if (gpus[gpu].number[LISTED] && place++ == index) return gpu;
  }
  return -1;
}
EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
  TRY(begin(__func__, -1, 0));
  for (*count = 0; listed(*count) >= 0;) ++*count;
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
  readControl();
  const int gpu = listed(index);
  TRY(begin(__func__, gpu, 0));
  if (gpu < 0) return INVALID;
  if (gpus[gpu].number[STATE] == 15) return 15;
  *device = &handles[session % 16][handleEpoch % 16][gpu];
  (*device)->gpu = gpu;
  (*device)->place = -1;
  (*device)->session = session;
  (*device)->epoch = handleEpoch;
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *out, unsigned length) {
  ON_DEVICE;
  const struct instance *instance = instanceOf(device);
  if (instance == NULL) return text(out, length, gpu->uuid);
  char uuid[64];
  snprintf(uuid, sizeof uuid, "MIG-%08x-%04x-%04x-8000-000000000000", device->gpu, instance->gi,
           instance->ci);
  return text(out, length, uuid);
}
EXPORT nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *out, unsigned length) {
  ON_DEVICE;
  const struct instance *instance = instanceOf(device);
  if (instance == NULL) return text(out, length, gpu->name);
  char name[192];
  snprintf(name, sizeof name, "%s MIG %ug.%llugb", gpu->name, instance->giSlices,
           (instance->totalMib + 1023) / 1024);
  return text(out, length, name);
}
EXPORT nvmlReturn_t nvmlDeviceGetMinorNumber(nvmlDevice_t device, unsigned *minor) {
  ON_DEVICE;
  *minor = gpu->number[MINOR];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
  ON_DEVICE;
  memset(pci, 0, sizeof *pci);
  memcpy(pci->busId, gpu->bus, sizeof pci->busId - 1);
  memcpy(pci->busIdLegacy, gpu->bus + 4, 13);
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
  ON_DEVICE;
  *major = gpu->number[MAJOR_CC];
  *minor = gpu->number[MINOR_CC];
  return OK;
}
#if BRANCH >= 450
EXPORT nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *now, unsigned *pending) {
  ON_DEVICE;
  *now = *pending = gpu->number[MIG];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned *count) {
  ON_DEVICE;
  *count = INSTANCES_MAX;
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index,
                                                        nvmlDevice_t *instance) {
  ON_DEVICE;
  if (!gpu->number[MIG]) return NOT_SUPPORTED;
  if (index >= INSTANCES_MAX) return INVALID;
  if (!gpu->instance[index].exists) return NOT_FOUND;
  *instance = &instanceHandles[session % 16][handleEpoch % 16][device->gpu][index];
  **instance = *device;
  (*instance)->place = index;
  return OK;
}
#define ON_INSTANCE ON_DEVICE; \
  const struct instance *instance = instanceOf(device); \
  if (instance == NULL) return INVALID
EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned *id) {
  ON_INSTANCE;
  *id = instance->gi;
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned *id) {
  ON_INSTANCE;
  *id = instance->ci;
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *out) {
  ON_INSTANCE;
  memset(out, 0, sizeof *out);
  out->multiprocessorCount = 16 * instance->ciSlices;
  out->gpuInstanceSliceCount = instance->giSlices;
  out->computeInstanceSliceCount = instance->ciSlices;
  out->memorySizeMB = instance->totalMib;
  return OK;
}

static struct instance *gpuInstance(struct gpu *gpu, unsigned gi) {
  for (int n = 0; n < INSTANCES_MAX; n++)
    if (gpu->instance[n].exists && gpu->instance[n].gi == gi) return &gpu->instance[n];
  return NULL;
}
EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceById(nvmlDevice_t device, unsigned id,
                                                 nvmlGpuInstance_t *out) {
  static struct nvmlGpuInstance_st made[GPUS_MAX][16];
  ON_DEVICE;
  if (gpu->number[MIG_INFO] != OK) return gpu->number[MIG_INFO];
  if (gpuInstance(gpu, id) == NULL || id >= 16) return NOT_FOUND;
  *out = &made[device->gpu][id];
  (*out)->gpu = device->gpu;
  (*out)->id = id;
  return OK;
}
EXPORT nvmlReturn_t nvmlGpuInstanceGetInfo(nvmlGpuInstance_t which, nvmlGpuInstanceInfo_t *out) {
  TRY(begin(__func__, which->gpu, 0));
  const struct instance *instance = gpuInstance(&gpus[which->gpu], which->id);
  if (instance == NULL) return INVALID;
  memset(out, 0, sizeof *out);
  out->id = which->id;
  out->profileId = instance->profile;
  out->placement.start = instance->start;
  out->placement.size = instance->giSlices;
  return OK;
}
#endif

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *out) {
  ON_DEVICE;
  if (gpu->number[MIG]) return NOT_SUPPORTED;
  out->gpu = gpu->number[UTIL];
  out->memory = gpu->number[MEMORY_UTIL];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *out) {
  ON_DEVICE;
  const struct instance *instance = instanceOf(device);
  if (instance != NULL) {
    out->total = instance->totalMib << 20;
    out->used = instance->usedMib << 20;
    out->free = out->total - out->used;
    return OK;
  }
  if (gpu->number[MIG] && gpu->number[MIG_MEMORY] != OK) return gpu->number[MIG_MEMORY];
  out->total = gpu->number[TOTAL];
  out->free = gpu->number[FREE];
  out->used = out->total - out->free;
  return OK;
}
#if BRANCH >= 510
/* Its `used` counts the reserved bytes, as some branches do: whoever copies it is wrong by them. */
EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *out) {
  ON_DEVICE;
  if (out->version != (sizeof *out | 2u << 24)) return VERSION;
  const struct instance *instance = instanceOf(device);
  if (instance != NULL) {
    out->total = instance->totalMib << 20;
    out->reserved = 1ull << 20;
    out->free = out->total - out->reserved - (instance->usedMib << 20);
    out->used = out->total - out->free;
    return OK;
  }
  if (gpu->number[MIG] && gpu->number[MIG_MEMORY] != OK) return gpu->number[MIG_MEMORY];
  out->total = gpu->number[TOTAL];
  out->reserved = gpu->number[RESERVED];
  out->free = gpu->number[FREE];
  out->used = out->total - out->free;
  return OK;
}
#endif
EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, int sensor, unsigned *out) {
  ON_DEVICE;
  if (sensor != 0) return INVALID;
  *out = gpu->number[TEMPERATURE];
  return OK;
}
#if BRANCH >= 570
EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_v1_t *out) {
  ON_DEVICE;
  if (out->version != (sizeof *out | 1u << 24)) return VERSION;
  if (out->sensorType != 0) return INVALID;
  out->temperature = gpu->number[TEMPERATURE];
  return OK;
}
#endif
EXPORT nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *out) {
  ON_DEVICE;
  *out = gpu->number[POWER];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned *out) {
  ON_DEVICE;
  *out = gpu->number[LIMIT];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, int type, unsigned *out) {
  ON_DEVICE;
  if (type != 1 && type != 2) return INVALID;
  *out = gpu->number[type == 1 ? SM_CLOCK : MEMORY_CLOCK];
  return OK;
}
static nvmlReturn_t engine(struct gpu *gpu, int which, unsigned *out, unsigned *periodUs) {
  if (gpu->number[MIG]) return NOT_SUPPORTED;
  *out = gpu->number[which];
  *periodUs = 167000;
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t device, unsigned *out, unsigned *us) {
  ON_DEVICE;
  return engine(gpu, ENCODER, out, us);
}
EXPORT nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t device, unsigned *out, unsigned *us) {
  ON_DEVICE;
  return engine(gpu, DECODER, out, us);
}
#if BRANCH >= 535
EXPORT nvmlReturn_t nvmlDeviceGetJpgUtilization(nvmlDevice_t device, unsigned *out, unsigned *us) {
  ON_DEVICE;
  return engine(gpu, JPEG, out, us);
}
EXPORT nvmlReturn_t nvmlDeviceGetOfaUtilization(nvmlDevice_t device, unsigned *out, unsigned *us) {
  ON_DEVICE;
  return engine(gpu, OFA, out, us);
}
#endif
EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device,
                                                              unsigned long long *out) {
  ON_DEVICE;
  *out = gpu->number[REASONS];
  return OK;
}
#if BRANCH >= 535
EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device,
                                                           unsigned long long *out) {
  ON_DEVICE;
  *out = gpu->number[REASONS];
  return OK;
}
#endif
EXPORT nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, int *out) {
  ON_DEVICE;
  *out = gpu->number[PSTATE];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetEccMode(nvmlDevice_t device, int *now, int *pending) {
  ON_DEVICE;
  *now = *pending = gpu->number[ECC_MODE];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetTotalEccErrors(nvmlDevice_t device, int type, int counter,
                                                unsigned long long *out) {
  ON_DEVICE;
  if (counter != 0) return INVALID;
  if (!gpu->number[ECC_MODE]) return NOT_SUPPORTED;
  *out = gpu->number[type == 0 ? ECC_CORRECTED : ECC_UNCORRECTED];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, int counter, unsigned *out) {
  ON_DEVICE;
  sleepMs(20); /* the interval over which the driver counts */
  *out = gpu->number[counter == 0 ? PCIE_TX : PCIE_RX];
  return OK;
}

static int fieldType(unsigned id) {
  if (id == 83 || id == 138 || id == 139) return 3;
  return 1;
}
static void setValue(nvmlValue_t *value, int type, double number) {
  switch (type) {
    case 1: value->uiVal = number; break;
    case 3: value->ullVal = number; break;
    default: abort();
  }
}
EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *out) {
  ON_DEVICE;
  if (count <= 0 || out == NULL) return INVALID;
  nvmlReturn_t worst = INVALID;
  for (int n = 0; n < count; n++) {
    const unsigned id = out[n].fieldId;
    const int isKnown = id <= lastField && id < IDS_MAX;
    const int isLink = id == 138 || id == 139;
    if (!isKnown || (isLink && out[n].scopeId != 0xFFFFFFFF)) out[n].nvmlReturn = INVALID;
    else out[n].nvmlReturn = gpu->fieldRc[id];
    if (out[n].nvmlReturn != OK) continue;
    worst = OK;
    if (!gpu->fieldMute[id]) setValue(&out[n].value, fieldType(id), gpu->field[id]);
    out[n].valueType = gpu->fieldType[id] < 0 ? fieldType(id) : gpu->fieldType[id];
    out[n].timestamp = time(NULL) * 1000000LL;
  }
  return worst;
}

#if BRANCH >= 520
static unsigned long long samplesTaken;
EXPORT nvmlReturn_t nvmlGpmQueryDeviceSupport(nvmlDevice_t device, nvmlGpmSupport_t *out) {
  ON_DEVICE;
  if (out->version != 1) return VERSION;
  out->isSupportedDevice = gpu->number[GPM];
  return OK;
}
EXPORT nvmlReturn_t nvmlGpmSampleAlloc(nvmlGpmSample_t *sample) {
  TRY(begin(__func__, -1, 0));
  *sample = calloc(1, sizeof **sample);
  return OK;
}
EXPORT nvmlReturn_t nvmlGpmSampleFree(nvmlGpmSample_t sample) {
  begin(__func__, -1, 1);
  free(sample);
  return OK;
}
EXPORT nvmlReturn_t nvmlGpmSampleGet(nvmlDevice_t device, nvmlGpmSample_t sample) {
  ON_DEVICE;
  if (!gpu->number[GPM]) return NOT_SUPPORTED;
  sample->taken = ++samplesTaken;
  sample->gpu = (int)(gpu - gpus);
  sample->gi = -1;
  return OK;
}
EXPORT nvmlReturn_t nvmlGpmMigSampleGet(nvmlDevice_t device, unsigned gi, nvmlGpmSample_t sample) {
  ON_DEVICE;
  if (!gpu->number[GPM] || !gpu->number[MIG]) return NOT_SUPPORTED;
  if (gpuInstance(gpu, gi) == NULL) return INVALID;
  sample->taken = ++samplesTaken;
  sample->gpu = (int)(gpu - gpus);
  sample->gi = gi;
  return OK;
}
EXPORT nvmlReturn_t nvmlGpmMetricsGet(nvmlGpmMetricsGet_t *get) {
  TRY(begin(__func__, -1, 0));
  if (get->version != 1) return VERSION;
  const nvmlGpmSample_t older = get->sample1, newer = get->sample2;
  if (older == NULL || newer == NULL || older->taken == 0 || older->taken >= newer->taken ||
      older->gpu != newer->gpu || older->gi != newer->gi)
    return INVALID;
  struct gpu *gpu = &gpus[newer->gpu];
  const int isTooNew = BRANCH < 575;
  const struct instance *instance = newer->gi < 0 ? NULL : gpuInstance(gpu, newer->gi);
  if (newer->gi >= 0 && instance == NULL) return INVALID;
  for (unsigned n = 0; n < get->numMetrics; n++) {
    const unsigned id = get->metrics[n].metricId;
    if (id >= IDS_MAX) return INVALID;
    /* What an old driver says of metrics of CUDA 12.9 is not known: one refuses all, one each. */
    if (isTooNew && id >= 100 && BRANCH < 570) return INVALID;
    if (isTooNew && id >= 100) { get->metrics[n].nvmlReturn = INVALID; continue; }
    get->metrics[n].nvmlReturn = gpu->gpmRc[id];
    get->metrics[n].value = gpu->gpm[id];
    if (instance != NULL && id == 1) get->metrics[n].value = instance->busy;
    if (instance != NULL && id == 2) get->metrics[n].value = instance->busy / 2;
    if (instance != NULL && ((id >= 30 && id < 52) || id >= 166))
      get->metrics[n].nvmlReturn = NOT_SUPPORTED;
    for (int one = 0; instance != NULL && one < instance->engines; one++)
      if (instance->engine[one].id == id) {
        get->metrics[n].value = instance->engine[one].value;
        get->metrics[n].nvmlReturn = instance->engine[one].rc;
      }
  }
  return OK;
}
#endif

/* ---- events ---- */

struct nvmlEventSet_st {
  unsigned given;
  unsigned long long types[GPUS_MAX];
  nvmlDevice_t device[GPUS_MAX];
};
typedef struct nvmlEventSet_st *nvmlEventSet_t;

static unsigned newestEvent(void) {
  unsigned newest = 0;
  for (int n = 0; n < eventCount; n++)
    if (events[n].serial > newest) newest = events[n].serial;
  return newest;
}
EXPORT nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set) {
  TRY(begin(__func__, -1, 0));
  *set = calloc(1, sizeof **set);
  (*set)->given = newestEvent();
  return OK;
}
EXPORT nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set) {
  begin(__func__, -1, 1);
  free(set);
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceGetSupportedEventTypes(nvmlDevice_t device, unsigned long long *out) {
  ON_DEVICE;
  *out = gpu->number[EVENT_TYPES];
  return OK;
}
EXPORT nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                             nvmlEventSet_t set) {
  ON_DEVICE;
  if (gpu->number[REGISTER_RC] != OK) return gpu->number[REGISTER_RC];
  if (types & ~gpu->number[EVENT_TYPES]) return NOT_SUPPORTED;
  set->types[device->gpu] = types;
  set->device[device->gpu] = device;
  return OK;
}
/* Serials rise, so that an event is given out once although the file still has it. */
static nvmlReturn_t nextEvent(nvmlEventSet_t set, unsigned timeoutMs, nvmlEventData_t *out) {
  const struct event *next = NULL;
  for (int n = 0; n < eventCount; n++) {
    const struct event *one = &events[n];
    if (one->serial <= set->given || !(one->type & set->types[one->gpu])) continue;
    if (next == NULL || one->serial < next->serial) next = one;
  }
  if (next == NULL) {
    if (timeoutMs > 0) sleepMs(timeoutMs);
    return 10;
  }
  set->given = next->serial;
  out->device = set->device[next->gpu];
  out->eventType = next->type;
  out->eventData = next->data;
  out->gpuInstanceId = out->computeInstanceId = next->gi;
  return OK;
}
#if BRANCH >= 450
EXPORT nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *out, unsigned ms) {
  TRY(begin(__func__, -1, 0));
  return nextEvent(set, ms, out);
}
#endif
/* Before R450 the struct has no instance. */
EXPORT nvmlReturn_t nvmlEventSetWait(nvmlEventSet_t set, void *out, unsigned ms) {
  nvmlEventData_t data;
  TRY(begin(__func__, -1, 0));
  const nvmlReturn_t rc = nextEvent(set, ms, &data);
  if (rc == OK) memcpy(out, &data, 24);
  return rc;
}

#define PROCESSES_MAX 256
struct process {
  unsigned pid;
  char kind[16];
  unsigned long long memory, time;
  unsigned sm, mem, enc, dec;
};
static struct process processes[GPUS_MAX][PROCESSES_MAX];
static unsigned processCount[GPUS_MAX];

static void clearProcesses(void) { memset(processCount, 0, sizeof processCount); }

static void setProcess(int gpu, int pid, const char *value, const char *line) {
  if (processCount[gpu] == PROCESSES_MAX) wrong(line);
  struct process *made = &processes[gpu][processCount[gpu]++];
  made->pid = pid;
  if (sscanf(value, "%15s %llu %u %u %u %u %llu", made->kind, &made->memory, &made->sm, &made->mem,
             &made->enc, &made->dec, &made->time) != 7)
    wrong(line);
}

static int isFirstSample(int gpu, unsigned place) {
  for (unsigned n = 0; n < place; n++)
    if (processes[gpu][n].pid == processes[gpu][place].pid) return 0;
  return 1;
}
/* Entries are as long as the driver says and not as the name: pid, memory, two ids, protected memory. */
static nvmlReturn_t listProcesses(const char *symbol, int gpu, const char *kind, unsigned bytes,
                                  unsigned *count, unsigned char *out) {
  const struct rule *set = find('e', symbol, gpu);
  if (set != NULL) bytes = set->value;
  unsigned needed = 0;
  for (unsigned n = 0; n < processCount[gpu]; n++)
    if (strcmp(processes[gpu][n].kind, kind) == 0 && isFirstSample(gpu, n)) needed++;
  const unsigned room = *count;
  *count = needed;
  if (needed > room || (out == NULL && needed > 0)) return SHORT;
  for (unsigned n = 0; n < processCount[gpu]; n++) {
    const struct process *process = &processes[gpu][n];
    if (strcmp(process->kind, kind) != 0 || !isFirstSample(gpu, n)) continue;
    unsigned char entry[32];
    memset(entry, 0, sizeof entry);
    memcpy(entry, &process->pid, 4);
    memcpy(entry + 8, &process->memory, 8);
    memset(entry + 16, 0xFF, 8);
    memcpy(out, entry, bytes);
    out += bytes;
  }
  return OK;
}
#define LIST(symbol, kind, bytes) \
  EXPORT nvmlReturn_t symbol(nvmlDevice_t device, unsigned *count, void *out) { \
    ON_DEVICE; \
    return listProcesses(#symbol, (int)(gpu - gpus), kind, bytes, count, out); \
  }
LIST(nvmlDeviceGetComputeRunningProcesses, "Compute", 16)
LIST(nvmlDeviceGetGraphicsRunningProcesses, "Graphics", 16)
#if BRANCH >= 470
LIST(nvmlDeviceGetMPSComputeRunningProcesses, "MPSCompute", 16)
LIST(nvmlDeviceGetComputeRunningProcesses_v2, "Compute", 24)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, "Graphics", 24)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, "MPSCompute", 24)
#endif
#if BRANCH >= 510
LIST(nvmlDeviceGetComputeRunningProcesses_v3, "Compute", 24)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, "Graphics", 24)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, "MPSCompute", 24)
#endif

EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device,
                                                    nvmlProcessUtilizationSample_t *out,
                                                    unsigned *count, unsigned long long lastSeen) {
  ON_DEVICE;
  if (gpu->number[MIG]) return NOT_SUPPORTED;
  const int number = (int)(gpu - gpus);
  unsigned needed = 0;
  for (int isWriting = 0; isWriting < 2; isWriting++) {
    const unsigned room = *count;
    needed = 0;
    for (unsigned n = 0; n < processCount[number]; n++) {
      const struct process *process = &processes[number][n];
      if (process->time <= lastSeen) continue;
      if (process->sm + process->mem + process->enc + process->dec == 0) continue;
      if (isWriting) {
        memset(&out[needed], 0, sizeof *out);
        out[needed].pid = process->pid;
        out[needed].timeStamp = process->time;
        out[needed].smUtil = process->sm;
        out[needed].memUtil = process->mem;
        out[needed].encUtil = process->enc;
        out[needed].decUtil = process->dec;
      }
      needed++;
    }
    if (needed == 0) return NOT_FOUND;
    if (!isWriting && (out == NULL || needed > room)) { *count = needed; return SHORT; }
  }
  *count = needed;
  return OK;
}
