# What the Vagrantfile has to know of the machine it runs on.

require "etc"
require "fileutils"
require "open3"

module Drydock
  # What a person can put right; its message says what is wrong, where, and what to do.
  class Trouble < StandardError; end

  module Host
    KVM = "/dev/kvm".freeze
    # From Linux' <linux/kvm.h>: _IO(0xAE, 0) and _IO(0xAE, 1).
    KVM_GET_API_VERSION = 0xAE00
    KVM_CREATE_VM = 0xAE01

    QEMU = %w[timeout 20 qemu-system-x86_64 -accel kvm -cpu host -nodefaults -display none].freeze
    # 127: `timeout` found no QEMU under this name. Libvirt knows where it is.
    NO_QEMU = 127
    # A kernel that has no disk says this within a second, and QEMU ends.
    LAST_WORDS = "Kernel panic - not syncing: VFS".freeze
    # In Vagrant's own folder: Vagrant reads its file at each command, and what was tried is
    # remembered until the next boot.
    MEMORY = "drydock-kvm".freeze

    module_function

    # Ruby may be an x86-64 program that macOS translates, so macOS itself is asked.
    def arm64?
      return `sysctl -in hw.optional.arm64 2>/dev/null`.strip == "1" if RUBY_PLATFORM.include?("darwin")

      RUBY_PLATFORM.match?(/\A(aarch64|arm64)/)
    end

    # Whether libvirt has to emulate. DRYDOCK_EMULATE=1 says yes, =0 says no, else it is tried.
    def emulate?(env = ENV, kvm: KVM)
      case env["DRYDOCK_EMULATE"]
      when "1" then true
      when "0" then false
      when nil, "" then !kvm?(kvm, env)
      else raise Trouble, "DRYDOCK_EMULATE=#{env['DRYDOCK_EMULATE']} is not known. Use 1 or 0, or leave it out."
      end
    end

    # A device that can be opened proves little. Under some hypervisors QEMU ends as soon as it
    # sets up a processor like the host's; under others it runs firmware, and stops for ever in a
    # kernel. So a kernel is started, if one is there: the box's, or this machine's.
    def kvm?(path = KVM, env = ENV)
      File.open(path, File::RDWR) do |device|
        return false unless device.ioctl(KVM_GET_API_VERSION, 0) == 12

        IO.for_fd(device.ioctl(KVM_CREATE_VM, 0)).close
      end
      kernel = kernel(env)
      remembered(File.join(home(env), MEMORY), kernel) { qemu_starts? && (kernel.nil? || boots?(kernel)) }
    rescue Errno::EACCES
      # Not ours to open, but libvirt opens it with rights of its own.
      true
    rescue SystemCallError
      false
    end

    def home(env = ENV)
      env["VAGRANT_HOME"] || File.join(Dir.home, ".vagrant.d")
    end

    def kernel(env = ENV)
      boxes = Dir.glob(File.join(home(env), "boxes", "drydock-VAGRANTSLASH-node", "**", "vmlinuz"))
      [boxes.max, "/boot/vmlinuz-#{Etc.uname[:release]}"].compact.find { |file| File.readable?(file) }
    end

    # A VM that never runs.
    def qemu_starts?
      _output, status = Open3.capture2e(*QEMU, *%w[-m 16 -S -monitor stdio], stdin_data: "quit\n")
      status.success? || status.exitstatus == NO_QEMU
    rescue Errno::ENOENT
      true
    end

    def boots?(kernel, qemu: QEMU)
      own = ["-m", "256", "-no-reboot", "-serial", "stdio", "-kernel", kernel]
      output, status = Open3.capture2e(*qemu, *own, "-append", "console=ttyS0 panic=-1", stdin_data: "")
      output.scrub.include?(LAST_WORDS) || status.exitstatus == NO_QEMU
    rescue Errno::ENOENT
      true
    end

    def remembered(file, kernel)
      boot = File.read("/proc/sys/kernel/random/boot_id").strip
      about = "#{boot} #{kernel}"
      said, answer = File.exist?(file) ? File.read(file).split("\n") : []
      return answer == "works" if said == about

      works = yield
      begin
        FileUtils.mkdir_p(File.dirname(file))
        File.write(file, "#{about}\n#{works ? 'works' : 'does not work'}\n")
      rescue SystemCallError
        nil # It is tried again, that is all.
      end
      works
    end
  end
end
