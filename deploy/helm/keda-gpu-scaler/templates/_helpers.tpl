{{/*
Names are fixed: a ScaledObject anywhere in the cluster says
scalerAddress: keda-gpu-scaler.keda.svc.cluster.local:6000, whatever the release is called.
*/}}
{{- define "name" -}}keda-gpu-scaler{{- end }}
{{- define "agentName" -}}keda-gpu-scaler-agent{{- end }}

{{/* What runs on GPU nodes: only an agent, or (mode daemonset) everything. */}}
{{- define "nodeRole" -}}{{ eq .Values.mode "split" | ternary "agent" "all" }}{{- end }}
{{- define "nodeName" -}}{{ eq .Values.mode "split" | ternary (include "agentName" .) (include "name" .) }}{{- end }}

{{/* Who answers KEDA. */}}
{{- define "answeringRole" -}}{{ eq .Values.mode "split" | ternary "scaler" "all" }}{{- end }}

{{/* Cluster-wide objects carry the namespace, so that a second installation can be tried beside the first. */}}
{{- define "clusterName" -}}{{ include "name" . }}:{{ .Release.Namespace }}{{- end }}

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
- --bind={{ $.Values.bindAddress }}
- --port=6000
- --http-port=9090
- --sample-interval={{ $.Values.sampleInterval }}
- --log-level={{ $.Values.log.level }}
- --log-format={{ $.Values.log.format }}
{{- end }}

{{/* Flags of whoever answers KEDA. */}}
{{- define "answeringArgs" -}}
- --namespace={{ .Release.Namespace }}
{{- if .Values.profiles }}
- --profiles=/etc/keda-gpu-scaler-profiles/profiles.yaml
{{- end }}
{{- with .Values.allowEndpoints }}
- {{ printf "--allow-endpoint=%s" (join "," .) | quote }}
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

{{/* Text that is wrong on purpose stops here, with what to do, before it reaches the cluster. */}}
{{- define "check" -}}
{{- if and (eq .Values.gpu.access "host-path") (not .Values.agent.privileged) (ne .Values.collector "mock") }}
{{- fail "Cannot render: gpu.access is host-path and agent.privileged is false, and a container that no device plugin or container toolkit serves may open GPU devices only when it is privileged; set agent.privileged=true, or another gpu.access" }}
{{- end }}
{{- if and .Values.mock (ne .Values.collector "mock") }}
{{- fail (printf "Cannot render: mock is set and collector is %s, which would not read it; set collector=mock, or remove mock" .Values.collector) }}
{{- end }}
{{- end }}
