import { describe, expect, test } from "bun:test";
import { describeReturn, returnClassOf } from "#device/nvml/return-code.ts";

describe("return codes", () => {
  /** nvml.h's own names. */
  test.each([
    [1, "UNINITIALIZED"],
    [2, "INVALID_ARGUMENT"],
    [3, "NOT_SUPPORTED"],
    [4, "NO_PERMISSION"],
    [5, "ALREADY_INITIALIZED"],
    [6, "NOT_FOUND"],
    [7, "INSUFFICIENT_SIZE"],
    [8, "INSUFFICIENT_POWER"],
    [9, "DRIVER_NOT_LOADED"],
    [10, "TIMEOUT"],
    [11, "IRQ_ISSUE"],
    [12, "LIBRARY_NOT_FOUND"],
    [13, "FUNCTION_NOT_FOUND"],
    [14, "CORRUPTED_INFOROM"],
    [15, "GPU_IS_LOST"],
    [16, "RESET_REQUIRED"],
    [17, "OPERATING_SYSTEM"],
    [18, "LIB_RM_VERSION_MISMATCH"],
    [19, "IN_USE"],
    [20, "MEMORY"],
    [21, "NO_DATA"],
    [23, "INSUFFICIENT_RESOURCES"],
    [24, "FREQ_NOT_SUPPORTED"],
    [25, "ARGUMENT_VERSION_MISMATCH"],
    [26, "DEPRECATED"],
    [27, "NOT_READY"],
    [28, "GPU_NOT_FOUND"],
    [29, "INVALID_STATE"],
    [30, "RESET_TYPE_NOT_SUPPORTED"],
    [999, "UNKNOWN"],
  ] as const)("%d is NVML_ERROR_%s", (code, name) => {
    const described = describeReturn("nvmlDeviceGetX", code);
    expect(described).toMatch(`nvmlDeviceGetX returned ${code} (NVML_ERROR_${name})`);
  });

  test.each(["lost", "reset-required", "failing", "not-permitted", "session", "fatal", "unknown"])(
    "that mean %s come with what to do",
    (returnClass) => {
      const codes = Array.from({ length: 1_000 }, (_, code) => code);
      const ofClass = codes.filter((code) => returnClassOf(code) === returnClass);
      expect(ofClass).not.toBeEmpty();
      for (const code of ofClass) expect(describeReturn("x", code)).toMatch(/\); .{10}/);
    },
  );

  test("of tomorrow fail their reading and nothing else", () => {
    expect(returnClassOf(77)).toBe("failed");
    expect(describeReturn("nvmlDeviceGetX", 77)).toBe("nvmlDeviceGetX returned 77");
  });
});
