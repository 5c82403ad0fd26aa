{{/*
Names are fixed: a ScaledObject anywhere in the cluster says
scalerAddress: keda-gpu-scaler.keda.svc.cluster.local:6000, whatever the release is called.
*/}}
{{- define "name" -}}keda-gpu-scaler{{- end }}
{{- define "agentName" -}}keda-gpu-scaler-agent{{- end }}

{{/* Cluster-wide objects carry the namespace, so that a second installation can be tried beside the first. */}}
{{- define "clusterName" -}}{{ include "name" . }}:{{ .Release.Namespace }}{{- end }}

{{/* The same for kinds whose names are DNS names. */}}
{{- define "policyName" -}}{{ include "name" . }}.{{ .Release.Namespace }}{{- end }}

{{/* Selector labels of one role: (list $ "scaler"). They can never change: selectors are immutable. */}}
{{- define "selector" -}}
app.kubernetes.io/name: keda-gpu-scaler
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "labels" -}}
{{- $ := index . 0 -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $.Release.Service }}
helm.sh/chart: {{ $.Chart.Name }}-{{ $.Chart.Version }}
{{- end }}

{{/* A map of labels as the API wants it: `--set x=true` makes a boolean, and label values are strings. */}}
{{- define "stringMap" -}}
{{- range $key, $value := . }}
{{ $key | quote }}: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{- define "image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Flags that every role has: (list $ "scaler"). */}}
{{- define "commonArgs" -}}
{{- $ := index . 0 -}}
- serve
- --role={{ index . 1 }}
- {{ printf "--bind=%s" $.Values.bindAddress | quote }}
- --port=6000
- --http-port=9090
- --sample-interval={{ $.Values.sampleInterval }}
- --log-level={{ $.Values.log.level }}
- --log-format={{ $.Values.log.format }}
{{- if not $.Values.statusPage.enabled }}
- --no-page
{{- end }}
{{- end }}

{{/*
Every certificate that the chart makes, or has made: the Secret's name, and the names in it. The first is what the other
end knows a client by; a Service's are what a client calls it.
*/}}
{{- define "certificates" -}}
{{- $namespace := .Release.Namespace }}
{{- range $name := list (include "name" .) (include "agentName" .) }}
{{ $name }}-tls:
  - {{ $name }}
  - {{ $name }}.{{ $namespace }}
  - {{ $name }}.{{ $namespace }}.svc
  - {{ $name }}.{{ $namespace }}.svc.cluster.local
{{- end }}
{{ include "name" . }}-client-tls:
  - keda-operator
{{- end }}

{{/* The Secret of "scaler", "agent" or "client": (list $ "agent"). */}}
{{- define "tlsSecret" -}}
{{- $ := index . 0 -}}
{{- $tls := $.Values.tls -}}
{{- $names := dict "scaler" (include "name" $) "agent" (include "agentName" $) "client" (printf "%s-client" (include "name" $)) -}}
{{- $existing := dict "scaler" $tls.existingSecret "agent" ($tls.existingAgentSecret | default $tls.existingSecret) "client" $tls.existingClientSecret -}}
{{- $tls.existingSecret | empty | ternary (printf "%s-tls" (get $names (index . 1))) (get $existing (index . 1)) -}}
{{- end }}

{{/* Flags of one role: (list $ "agent"). */}}
{{- define "tlsArgs" -}}
{{- $role := index . 1 -}}
{{- with (index . 0).Values.tls }}
{{- if .enabled }}
- --tls-cert=/etc/keda-gpu-scaler-tls/tls.crt
- --tls-key=/etc/keda-gpu-scaler-tls/tls.key
- --tls-client-ca={{ .caConfigMap | empty | ternary "/etc/keda-gpu-scaler-tls" "/etc/keda-gpu-scaler-ca" }}/ca.crt
- --tls-client-names={{ join "," (index .clientNames $role) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Folders, not files: a file mounted by itself never changes. */}}
{{- define "tlsMounts" -}}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: /etc/keda-gpu-scaler-tls
  readOnly: true
{{- if .Values.tls.caConfigMap }}
- name: tls-ca
  mountPath: /etc/keda-gpu-scaler-ca
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{/* Volumes of one role: (list $ "agent"). */}}
{{- define "tlsVolumes" -}}
{{- $ := index . 0 -}}
{{- if $.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "tlsSecret" . }}
{{- with $.Values.tls.caConfigMap }}
- name: tls-ca
  configMap:
    name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "agentArgs" -}}
{{- $nvidia := has .Values.collector (list "auto" "nvml") }}
{{ include "commonArgs" (list $ "agent") }}
- --collector={{ .Values.collector }}
{{- if .Values.mock }}
- --mock=/etc/keda-gpu-scaler/mock.yaml
{{- end }}
{{- with .Values.exporter.name }}
- --exporter={{ . }}
{{- end }}
{{- with .Values.exporter.url }}
- {{ printf "--exporter-url=%s" . | quote }}
{{- end }}
{{- $driverLibrary := eq .Values.gpu.access "host-path" | ternary "/usr/local/nvidia/lib64/libnvidia-ml.so.1" "" }}
{{- with $nvidia | ternary (.Values.gpu.library | default $driverLibrary) "" }}
- --nvml-library={{ . }}
{{- end }}
- --device-watchdog={{ .Values.agent.deviceWatchdog }}
- --pod-resources-socket=/var/lib/kubelet/pod-resources/kubelet.sock
{{- if .Values.processAttribution }}
- --process-attribution
{{- end }}
{{- include "tlsArgs" (list $ "agent") }}
{{- range .Values.agent.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "scalerArgs" -}}
{{ include "commonArgs" (list $ "scaler") }}
- --namespace={{ .Release.Namespace }}
- --agent-service={{ include "agentName" . }}
{{- if .Values.profiles }}
- --profiles=/etc/keda-gpu-scaler-profiles/profiles.yaml
{{- end }}
{{- with .Values.allowEndpoints }}
- {{ printf "--allow-endpoint=%s" (join "," .) | quote }}
{{- end }}
{{- if .Values.allowHostNetwork }}
- --allow-host-network
{{- end }}
{{- with .Values.allowScopes }}
- --allow-scope={{ join "," . }}
{{- end }}
{{- if .Values.engineTokens }}
- --engine-token-dir=/etc/keda-gpu-scaler-tokens
{{- end }}
{{- if .Values.engineCas }}
- --engine-ca-dir=/etc/keda-gpu-scaler-cas
{{- end }}
{{- if .Values.scaler.deletionCost.enabled }}
- --deletion-cost
{{- end }}
{{- if not .Values.scaler.events.enabled }}
- --no-events
{{- end }}
{{- include "tlsArgs" (list $ "scaler") }}
{{- range .Values.scaler.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* A node has an agent when it has all of nodeSelector's labels, so one that is another keeps it apart: terms are "or". */}}
{{- define "scalerAffinity" -}}
{{- $affinity := .Values.scaler.affinity | default dict }}
{{- with $affinity }}
{{- toYaml . }}
{{- end }}
{{- if and .Values.scaler.avoidGpuNodes .Values.nodeSelector (not $affinity.nodeAffinity) }}
nodeAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    nodeSelectorTerms:
      {{- range $key, $value := include "stringMap" .Values.nodeSelector | fromYaml }}
      - matchExpressions:
          - key: {{ $key }}
            operator: NotIn
            values: [{{ $value | quote }}]
      {{- end }}
{{- end }}
{{- end }}

{{- define "portsAndProbes" -}}
ports:
  - name: grpc
    containerPort: 6000
  - name: http
    containerPort: 9090
startupProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 10
  timeoutSeconds: 2
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  periodSeconds: 5
  timeoutSeconds: 2
{{- end }}

{{/* A time that the program would refuse at its start: (list "sampleInterval" "5m" "100ms" 100 "1m" 60000). */}}
{{- define "checkDuration" -}}
{{- $text := index . 1 }}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 }}
{{- $ms := mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[a-z]+$" $text)) }}
{{- if or (lt $ms (index . 3 | float64)) (gt $ms (index . 5 | float64)) }}
{{- fail (printf "Cannot render: %s must be from %s to %s, got %s" (index . 0) (index . 2) (index . 4) $text) }}
{{- end }}
{{- end }}

{{/* What the schema cannot say stops here, with what to do, before it reaches the cluster. */}}
{{- define "check" -}}
{{- if not (regexMatch "^(localhost|[^/]*[.:][^/]*)/" .Values.image.repository) }}
{{- $image := printf "REGISTRY/keda-gpu-scaler:%s" (.Values.image.tag | default .Chart.AppVersion) }}
{{- fail (printf "Cannot render: image.repository is %q, and without a registry in front no node can pull it; build and push the image, then say where it is:\n  docker buildx build --platform linux/amd64,linux/arm64 --tag %s --push .\n  helm upgrade --install ... --set image.repository=REGISTRY/keda-gpu-scaler" .Values.image.repository $image) }}
{{- end }}
{{- include "checkDuration" (list "sampleInterval" .Values.sampleInterval "100ms" 100 "1m" 60000) }}
{{- include "checkDuration" (list "agent.deviceWatchdog" .Values.agent.deviceWatchdog "1s" 1000 "1h" 3600000) }}
{{- if and (eq .Values.gpu.access "host-path") (not .Values.agent.privileged) (has .Values.collector (list "auto" "nvml")) }}
{{- fail "Cannot render: gpu.access is host-path and agent.privileged is false, and a container that no device plugin or container toolkit serves may open GPU devices only when it is privileged; set agent.privileged=true, or another gpu.access" }}
{{- end }}
{{- if and .Values.mock (ne .Values.collector "mock") }}
{{- fail (printf "Cannot render: mock is set and collector is %s, which would not read it; set collector=mock, or remove mock" .Values.collector) }}
{{- end }}
{{- if and .Values.exporter.name (not (has .Values.collector (list "auto" "exporter"))) }}
{{- fail (printf "Cannot render: exporter.name is set and collector is %s, which would not read it; set collector=exporter, or remove exporter.name" .Values.collector) }}
{{- end }}
{{- if and (not .Values.exporter.name) (or .Values.exporter.url (eq .Values.collector "exporter")) }}
{{- fail "Cannot render: collector is exporter or exporter.url is set, and exporter.name is empty; name the exporter's table, such as exporter.name=gaudi" }}
{{- end }}
{{- with .Values.tls }}
{{- if and .certManager.enabled .existingSecret }}
{{- fail "Cannot render: tls.certManager.enabled and tls.existingSecret are both set, and a certificate has one source; remove one" }}
{{- end }}
{{- if and .certManager.enabled (not .certManager.issuerRef.name) }}
{{- fail "Cannot render: tls.certManager.enabled is true and tls.certManager.issuerRef.name is empty; name an Issuer whose certificates carry its authority, such as one of kind CA" }}
{{- end }}
{{- if and (not .existingSecret) (or .existingAgentSecret .existingClientSecret) }}
{{- fail "Cannot render: tls.existingAgentSecret and tls.existingClientSecret mean something beside tls.existingSecret only; set it too" }}
{{- end }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) }}
{{- fail "Cannot render: serviceMonitor.enabled is true and networkPolicy.metricsFrom is empty, so Prometheus would be told of pods that it may not read; set networkPolicy.metricsFrom to where your Prometheus runs, or networkPolicy.enabled=false" }}
{{- end }}
{{- if and .Values.priorityQuota.enabled (not (or .Values.agent.priorityClassName .Values.scaler.priorityClassName)) }}
{{- fail "Cannot render: priorityQuota.enabled is true and no role has a priorityClassName; set priorityQuota.enabled=false" }}
{{- end }}
{{- end }}

{{/*
Arguments of a container, each flag once: the program refuses one that is given twice. The list is YAML text:
(list "agent.extraArgs" $args).
*/}}
{{- define "argsOnce" -}}
{{- $seen := dict }}
{{- range index . 1 | fromYamlArray }}
{{- $flag := regexFind "^--[a-z0-9-]+" . }}
{{- if and $flag (hasKey $seen $flag) }}
{{- fail (printf "Cannot render: %s has %s, which the chart or an earlier argument sets; remove it there" (index $ 0) $flag) }}
{{- end }}
{{- $_ := set $seen $flag true }}
{{- end }}
{{- index . 1 | trim }}
{{- end }}

{{/* The port that an exporter is asked on: that of exporter.url, or the table's own. */}}
{{- define "exporterPort" -}}
{{- $usual := dict "gaudi" 41611 "neuron" 8000 "tpu" 2112 "xpum" 29999 "amd" 5000 "dcgm" 9400 }}
{{- $named := regexFind ":[0-9]+(/|$)" (.Values.exporter.url | trimPrefix "http://") | trimAll ":/" }}
{{- if $named }}{{ $named }}
{{- else if .Values.exporter.url }}80
{{- else }}{{ get $usual .Values.exporter.name | default "" }}
{{- end }}
{{- end }}
