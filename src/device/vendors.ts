import { amdgpuVendor } from "./amdgpu/vendor.ts";
import type { Vendor, VendorName } from "./collector.ts";
import { exporterVendor } from "./exporter/vendor.ts";
import { nvmlVendor } from "./nvml/vendor.ts";

/** Every vendor: a new one is a folder, its name in `vendorNames` and its line here. */
export const vendors: Readonly<Record<VendorName, Vendor>> = {
  nvml: nvmlVendor,
  amdgpu: amdgpuVendor,
  exporter: exporterVendor,
};
