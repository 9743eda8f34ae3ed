# Reads and checks nodes.yaml. Knows nothing of Vagrant, so that it can be tested without it.

require "yaml"

require_relative "host"

module Drydock
  Node = Struct.new(:name, :address, :memory, :cpus, :box, :box_version, keyword_init: true)

  module Nodes
    FILE = File.expand_path("nodes.yaml", __dir__)
    MANAGER = "manager1".freeze
    COMMON = %w[box box_version box_arm64 box_arm64_version memory cpus nodes].freeze
    OWN = %w[address memory cpus box box_version].freeze
    # With less the engine and one small service no longer fit beside the system.
    LEAST_MEMORY = 512

    module_function

    # All nodes, in the file's order.
    def read(path = FILE, env: ENV, arm64: Host.arm64?)
      tree = parse(path)
      table(path, "the file", tree)
      known(path, "the file", tree, COMMON)
      nodes = tree["nodes"]
      table(path, "`nodes`", nodes)
      found = nodes.map { |name, own| node(path, name, own, tree, env, arm64) }
      unique(path, found)
      unless found.any? { |each| each.name == MANAGER }
        wrong(path, "There is no node called #{MANAGER}.", "The swarm is created on it: give one node this name.")
      end
      found
    end

    def parse(path)
      text = File.read(path, encoding: "UTF-8")
      document = YAML.parse(text)
      duplicates(path, document.root) if document
      YAML.safe_load(text)
    rescue Errno::ENOENT
      wrong(path, "The file is missing.", "`git checkout vagrant/nodes.yaml` restores it.")
    rescue SystemCallError => error
      wrong(path, "The file cannot be read: #{error.message}.", "Check its permissions.")
    rescue Psych::Exception => error
      wrong(path, "This is not valid YAML: #{error.message}.", "Fix that line.")
    end

    # YAML readers keep the last of two equal keys in silence; a copied worker would just be gone.
    def duplicates(path, item)
      if item.is_a?(Psych::Nodes::Mapping)
        keys = item.children.each_slice(2).map { |key, _| key.respond_to?(:value) ? key.value : nil }
        twice = keys.compact.find { |key| keys.count(key) > 1 }
        wrong(path, "`#{twice}` is there twice.", "Give one of them another name.") if twice
      end
      (item.children || []).each { |child| duplicates(path, child) }
    end

    def node(path, name, own, common, env, arm64)
      unless name.is_a?(String) && name.match?(/\A[a-z][a-z0-9-]{0,30}\z/)
        wrong(path, "`#{name}` is not a valid node name.", "Use only lower-case letters, digits and -.")
      end
      table(path, "`#{name}`", own)
      known(path, "`#{name}`", own, OWN)
      box, version = box(path, name, own, common, env, arm64)
      Node.new(
        name: name,
        address: address(path, name, own["address"]),
        memory: number(path, name, "memory", own.fetch("memory", common["memory"]), LEAST_MEMORY),
        cpus: number(path, name, "cpus", own.fetch("cpus", common["cpus"]), 1),
        box: box,
        box_version: version
      )
    end

    def address(path, name, value)
      match = /\A192\.168\.56\.([1-9][0-9]?)\z/.match(value.to_s)
      return value if match && match[1].to_i > 1

      wrong(
        path, "`#{name}` has the address #{value.inspect}.",
        "Give it one from 192.168.56.2 to 192.168.56.99."
      )
    end

    def number(path, name, key, value, least)
      return value if value.is_a?(Integer) && value >= least

      wrong(
        path, "`#{name}` has #{key}: #{value.inspect}.",
        "Give it a whole number from #{least} on#{key == 'memory' ? ' (in MB)' : ''}."
      )
    end

    # Environment before the node before the file: a class can change boxes without an edit.
    def box(path, name, own, common, env, arm64)
      prefix = arm64 ? "box_arm64" : "box"
      if filled(env["DRYDOCK_BOX"])
        box, version = env["DRYDOCK_BOX"], env["DRYDOCK_BOX_VERSION"]
      elsif own.key?("box")
        box, version = own.values_at("box", "box_version")
      else
        box = common[prefix]
        version = own.fetch("box_version", common["#{prefix}_version"])
      end
      unless box.is_a?(String) && filled(box)
        wrong(path, "`#{name}` has no box.", "Write `#{prefix}: NAME` at the top of the file.")
      end
      # 12.10 without quotation marks is the number 12.1 to YAML: another version.
      unless version.nil? || version.is_a?(String)
        wrong(path, "The box version #{version} is a number.", "Put it in quotes.")
      end
      [box, filled(version)]
    end

    def unique(path, nodes)
      nodes.group_by(&:address).each do |address, same|
        next if same.one?

        wrong(
          path, "#{same.map { |each| "`#{each.name}`" }.join(' and ')} share #{address}.",
          "Give each node an address of its own."
        )
      end
    end

    def table(path, where, value)
      return if value.is_a?(Hash) && !value.empty?

      wrong(path, "#{where} has no `name: value` lines.", "Compare it with the original file.")
    end

    def known(path, where, table, keys)
      stranger = (table.keys - keys).first
      return if stranger.nil?

      wrong(path, "`#{stranger}` in #{where} is not known.", "Known keys: #{keys.join(', ')}.")
    end

    def filled(value)
      value.nil? || value.empty? ? nil : value
    end

    def wrong(path, what, remedy)
      raise Trouble, "#{path}: #{what} #{remedy}"
    end
  end
end
