{{/* The beginning of every name: the release, with the name of the chart unless it is in it. */}}
{{- define "paperfleet.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The labels by which pods are found. (list $ ROLE); ROLE is "" for those of all roles. */}}
{{- define "paperfleet.selector" -}}
{{- $ := index . 0 -}}{{- $role := index . 1 -}}
app.kubernetes.io/name: {{ $.Chart.Name }}
app.kubernetes.io/instance: {{ $.Release.Name }}
{{- if $role }}
app.kubernetes.io/component: {{ $role }}
{{- end }}
{{- end -}}

{{/* The metadata of an object. (dict "context" $ "name" "web" "role" "web" "description" "…" "annotations" (dict)) */}}
{{- define "paperfleet.metadata" -}}
{{- $ := .context -}}
name: {{ include "paperfleet.fullname" $ }}{{ with .name }}-{{ . }}{{ end }}
namespace: {{ $.Release.Namespace }}
labels:
  {{- include "paperfleet.selector" (list $ (.role | default "")) | nindent 2 }}
  app.kubernetes.io/managed-by: {{ $.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubernetes.io/description: {{ .description | quote }}
  {{- with .annotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "paperfleet.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{- .Values.image.repository -}}
{{- with .Values.image.digest }}@{{ . }}{{ else }}:{{ $tag }}{{ end -}}
{{- end -}}

{{- define "paperfleet.secret" -}}
{{- .Values.existingSecret | default (include "paperfleet.fullname" .) -}}
{{- end -}}

{{/* The variables that are no secrets. */}}
{{- define "paperfleet.config" -}}
{{- $url := .Values.url -}}
{{- if and (not $url) .Values.ingress.enabled -}}
{{- $url = printf "https://%s" .Values.ingress.host -}}
{{- end -}}
{{- $own := dict
  "PAPERFLEET_FLEET" (not .Values.sharedVolumes.enabled | toString)
  "PAPERLESS_APPS" "paperfleet.paperless"
  "PAPERLESS_CONSUMPTION_DIR" "/usr/src/paperless/consume"
  "PAPERLESS_DATA_DIR" "/usr/src/paperless/data"
  "PAPERLESS_DBENGINE" "postgresql"
  "PAPERLESS_DBHOST" .Values.database.host
  "PAPERLESS_DBNAME" .Values.database.name
  "PAPERLESS_DBPORT" (.Values.database.port | toString)
  "PAPERLESS_DBUSER" .Values.database.user
  "PAPERLESS_DOCUMENT_STORAGE_BACKEND" .Values.storage.address
  "PAPERLESS_MEDIA_ROOT" "/usr/src/paperless/media"
  "PAPERLESS_SCRATCH_DIR" "/usr/src/paperless/scratch"
  "PAPERLESS_TASK_WORKERS" (.Values.worker.tasks | toString)
  "PAPERLESS_TIME_ZONE" .Values.timeZone
  "PAPERLESS_URL" $url
  "PAPERLESS_WORKER_TIMEOUT" (.Values.worker.taskLimitSeconds | int | toString)
  "TZ" .Values.timeZone
-}}
{{- if not .Values.redis.existingSecret -}}
{{- $_ := set $own "PAPERLESS_REDIS" .Values.redis.url -}}
{{- end -}}
{{- if .Values.mirror.enabled -}}
{{- if not .Values.sharedVolumes.enabled -}}
{{- $_ := set $own "PAPERFLEET_EVENTS" "true" -}}
{{- end -}}
{{- $_ := set $own "PAPERFLEET_TARGET" .Values.mirror.target -}}
{{- $_ := set $own "PAPERFLEET_USERNAME" .Values.mirror.username -}}
{{- end -}}
{{- range $name, $_ := .Values.config -}}
{{- if hasKey $own $name -}}
{{- fail (printf "config has %s, which another value sets: look for it in values.yaml" $name) -}}
{{- end -}}
{{- end -}}
{{- toYaml (merge $own .Values.config) -}}
{{- end -}}

{{/* What all pods have in common. (list $ ROLE) */}}
{{- define "paperfleet.pod" -}}
{{- $ := index . 0 -}}{{- $role := index . 1 -}}
serviceAccountName: {{ include "paperfleet.fullname" $ }}
automountServiceAccountToken: false
# A Service called paperless or paperfleet would set variables that look like settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with $.Values.runAsUser }}
  runAsUser: {{ . | int }}
  runAsGroup: {{ . | int }}
  fsGroup: {{ . | int }}
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
{{- with $.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if not (has $role (list "migrate" "backup")) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "paperfleet.selector" (list $ $role) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* The container of a role, but for what only this role has. (list $ ROLE) */}}
{{- define "paperfleet.container" -}}
{{- $ := index . 0 -}}{{- $role := index . 1 -}}
{{- $own := index $.Values $role -}}
name: {{ $role }}
image: {{ include "paperfleet.image" $ | quote }}
imagePullPolicy: {{ $.Values.image.pullPolicy }}
command: [paperfleet, run, {{ $role }}]
envFrom:
  - configMapRef:
      name: {{ include "paperfleet.fullname" $ }}
  - secretRef:
      name: {{ include "paperfleet.secret" $ }}
  {{- with $own.existingSecret }}
  - secretRef:
      name: {{ . }}
  {{- end }}
{{- include "paperfleet.env" . }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml $own.resources | nindent 2 }}
volumeMounts:
  - name: data
    mountPath: /usr/src/paperless/data
  - name: media
    mountPath: /usr/src/paperless/media
  - name: consume
    mountPath: /usr/src/paperless/consume
  - name: scratch
    mountPath: /usr/src/paperless/scratch
  - name: tmp
    mountPath: /tmp
{{- if eq $role "mirror" }}
  - name: journal
    mountPath: /var/lib/paperfleet
{{- end }}
{{- if eq $role "backup" }}
  - name: backup
    mountPath: /var/lib/paperfleet
{{- end }}
{{- end -}}

{{/* Variables from Secrets of others, and those of one role alone. (list $ ROLE) */}}
{{- define "paperfleet.env" -}}
{{- $ := index . 0 -}}{{- $role := index . 1 -}}
{{- $found := list -}}
{{- range $row := list
  (list "PAPERLESS_DBPASS" $.Values.database)
  (list "PAPERLESS_REDIS" $.Values.redis)
  (list "PAPERLESS_DOCUMENT_STORAGE_OPTIONS" $.Values.storage)
-}}
{{- with index $row 1 -}}
{{- if .existingSecret -}}
{{- $key := dict "name" .existingSecret "key" .existingSecretKey -}}
{{- $found = append $found (dict "name" (index $row 0) "valueFrom" (dict "secretKeyRef" $key)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq $role "mirror" -}}
{{- $found = append $found (dict "name" "PAPERFLEET_JOURNAL" "value" "/var/lib/paperfleet/mirror.sqlite") -}}
{{- if $.Values.sharedVolumes.enabled -}}
{{- $found = append $found (dict "name" "PAPERFLEET_SOURCE" "value" "/usr/src/paperless/media/documents") -}}
{{- end -}}
{{- end -}}
{{- if eq $role "backup" -}}
{{- $found = append $found (dict "name" "PAPERFLEET_BACKUP_FOLDER" "value" "/var/lib/paperfleet/backup") -}}
{{- end -}}
{{- with $found }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The probes of a role: a process that runs is alive, whatever the database does. (dict "role" "web" "period" 10) */}}
{{- define "paperfleet.probes" -}}
startupProbe:
  exec:
    command: [paperfleet, run, {{ .role }}, --check, alive]
  periodSeconds: 5
  timeoutSeconds: 30
  failureThreshold: 24
livenessProbe:
  exec:
    command: [paperfleet, run, {{ .role }}, --check, alive]
  periodSeconds: 60
  timeoutSeconds: 30
  failureThreshold: 5
readinessProbe:
  exec:
    command: [paperfleet, run, {{ .role }}, --check, ready]
  periodSeconds: {{ .period }}
  timeoutSeconds: 30
  failureThreshold: 3
{{- end -}}

{{/* The volumes of a pod: its own, unless they are shared. (list $ ROLE) */}}
{{- define "paperfleet.volumes" -}}
{{- $ := index . 0 -}}{{- $role := index . 1 -}}
{{- range $name := list "data" "media" "consume" "scratch" "tmp" }}
- name: {{ $name }}
{{- if and $.Values.sharedVolumes.enabled (ne $name "tmp") }}
  persistentVolumeClaim:
    claimName: {{ (index $.Values.sharedVolumes $name).existingClaim | default (printf "%s-%s" (include "paperfleet.fullname" $) $name) }}
{{- else if and (eq $role "consumer") (eq $name "consume") $.Values.consumer.existingClaim }}
  persistentVolumeClaim:
    claimName: {{ $.Values.consumer.existingClaim }}
{{- else }}
  emptyDir:
    sizeLimit: {{ index $.Values.emptyDirs $name }}
{{- end }}
{{- end }}
{{- if eq $role "mirror" }}
- name: journal
  persistentVolumeClaim:
    claimName: {{ $.Values.mirror.journal.existingClaim | default (printf "%s-journal" (include "paperfleet.fullname" $)) }}
{{- end }}
{{- if eq $role "backup" }}
- name: backup
  persistentVolumeClaim:
    claimName: {{ $.Values.backup.tree.existingClaim | default (printf "%s-backup" (include "paperfleet.fullname" $)) }}
{{- end }}
{{- end -}}

{{/* The metadata of a pod; one that a changed setting concerns is another pod. (list $ ROLE ANNOTATIONS) */}}
{{- define "paperfleet.podMetadata" -}}
{{- $ := index . 0 -}}
labels:
  {{- include "paperfleet.selector" (list $ (index . 1)) | nindent 2 }}
annotations:
  kubectl.kubernetes.io/default-container: {{ index . 1 }}
  checksum/config: {{ include "paperfleet.config" $ | sha256sum }}
  {{- if not $.Values.existingSecret }}
  checksum/secret: {{ toYaml $.Values.secrets | sha256sum }}
  {{- end }}
  {{- with merge (dict) (index . 2) $.Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "paperfleet.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "paperfleet.metadata" (dict "context" .context "name" .role "role" .role "description" .description) | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "paperfleet.selector" (list .context .role) | nindent 6 }}
{{- end -}}
