# The provisioner that forms the swarm: only the host can hand a token from one node to another.
# What is typed on a node is in provision/swarm.sh; this file only says when and where.

require "base64"
require "shellwords"
require_relative "nodes"

module Drydock
  # Vagrant shows errors of its own kind as they are, others with a traceback.
  def self.vagrant_error(text)
    Class.new(Vagrant::Errors::VagrantError) { error_message(text) }.new
  end

  class SwarmConfig < Vagrant.plugin("2", :config)
    attr_accessor :address, :manager_address
  end

  class SwarmProvisioner < Vagrant.plugin("2", :provisioner)
    SCRIPT = File.expand_path("provision/swarm.sh", __dir__)
    # Emulated managers take minutes to boot and to get their engine.
    PATIENCE = 900
    # Nodes come up side by side, so a manager that is not there yet may still be on its way.
    GRACE = 90
    PAUSE = 3

    def provision
      if @machine.name.to_s == Nodes::MANAGER
        tell(here("init", @config.address))
      else
        join
      end
    end

    private

    def join
      id = here("id")
      known = id != "-" && at_manager("knows", id) == "yes"
      # A token is a secret; a node that is a member already needs none.
      token = known ? "-" : at_manager("token")
      tell(here("join", @config.manager_address, @config.address, token))
      tell(at_manager("tidy", @machine.name.to_s))
    end

    def tell(text)
      text.each_line { |line| @machine.ui.info(line.chomp) }
    end

    def here(*words)
      status, out, err = call(@machine.communicate, *words)
      return out.strip if status.zero?

      raise Drydock.vagrant_error("#{@machine.name}: #{err.strip}")
    end

    # Asks the manager until it answers.
    def at_manager(*words)
      started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      told = nil
      loop do
        problem = "it has not answered"
        begin
          status, out, err = call(manager_communicator, *words)
          return out.strip if status.zero?

          problem = err.strip
        rescue Vagrant::Errors::VagrantError, SystemCallError => error
          problem = error.message
        end
        passed = Process.clock_gettime(Process::CLOCK_MONOTONIC) - started
        gone = passed > GRACE && manager.provider.state.id != :running
        if gone || passed > PATIENCE
          raise Drydock.vagrant_error(
            "#{@machine.name} cannot join: #{Nodes::MANAGER} #{gone ? 'is not running' : problem}.\n" \
            "Run `SWARM=1 vagrant up #{Nodes::MANAGER}`, then " \
            "`SWARM=1 vagrant provision #{@machine.name} --provision-with swarm`."
          )
        end
        @machine.ui.info("Waiting for #{Nodes::MANAGER}: #{problem}") if problem != told
        told = problem
        sleep PAUSE
      end
    end

    def manager
      @manager ||= @machine.env.machine(Nodes::MANAGER.to_sym, @machine.provider_name)
    end

    # A connection of our own: the manager's may be in use by the thread that brings it up.
    # `ready?` is never asked, since it would exchange the node's key a second time.
    def manager_communicator
      @manager_communicator ||= Vagrant.plugin("2").manager.communicators[:ssh].new(manager)
    end

    # The script goes along with the command: nothing is left on the node, and a node that was
    # made with an older version of the kit gets the newer script.
    def call(communicator, *words)
      script = Base64.strict_encode64(File.read(SCRIPT).gsub("\r\n", "\n"))
      inner = "bash -c \"$(echo #{script} | base64 -d)\" drydock-swarm #{Shellwords.join(words)}"
      out, err = +"", +""
      status = communicator.sudo(inner, error_check: false) do |type, data|
        (type == :stdout ? out : err) << data
      end
      [status, out, err]
    end
  end

  class SwarmPlugin < Vagrant.plugin("2")
    name "drydock-swarm"
    config(:drydock_swarm, :provisioner) { SwarmConfig }
    provisioner(:drydock_swarm) { SwarmProvisioner }
  end
end
